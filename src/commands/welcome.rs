//! What somebody reads who starts `lapps` at a terminal and has configured nothing.

/// Stands behind the lines that say what runs.
pub(crate) const TEXT: &str = "
This is LAppS: it runs services written in Lua for clients that connect by WebSockets. Nothing is
configured here, so these are the services of a demo, which only this machine can reach.

Try next, in another terminal:
  lapps new chat    makes a service of your own, and says how to test and start it
  lapps --help      shows all commands; `man lapps` does, where a package was installed

The documentation begins at docs/README.md of the sources, and in /usr/share/doc/lapps of a package.
";
