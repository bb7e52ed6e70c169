//! Where the home and the configuration files are, found from arguments, environment and habit.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The home of the original's installations.
const DEFAULT_HOME: &str = "/opt/lapps";
/// The home that packages make, and where their configuration files are.
const PACKAGED_HOME: &str = "/var/lib/lapps";
const PACKAGED_CONF: &str = "/etc/lapps";
/// Where the configuration files are, seen from a home.
const CONF_IN_HOME: &str = "etc/conf";
pub(super) const WS_NAME: &str = "ws.json";
pub(super) const LAPPS_NAME: &str = "lapps.json";

/// Where things are; nothing of it needs to exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The directory that relative paths of the configuration start at.
    pub home: PathBuf,
    /// The directory of the configuration files.
    pub conf_dir: PathBuf,
    /// The server's configuration.
    pub ws_file: PathBuf,
    /// The services' configuration.
    pub lapps_file: PathBuf,
}

impl Places {
    /// Finds the places; `None` means that nothing is configured anywhere: the demo.
    ///
    /// `home` is the argument of `--home`: it decides home and configuration directory alone. Else `LAPPS_HOME`,
    /// `LAPPS_CONF_DIR`, `WS_CONFIG`, `LAPPS_CONFIG` decide if one of them is set (an empty one is not set), with the
    /// original's defaults. Else `/opt/lapps/etc/conf` counts if one of the two files is there, else, in the same way, `/etc/lapps`
    /// with the home `/var/lib/lapps`, as packages have it. The names of the files come from `WS_CONFIG` and `LAPPS_CONFIG` in
    /// all cases.
    pub fn find(home: Option<&Path>, env: &dyn Fn(&str) -> Option<OsString>) -> Option<Places> {
        find_with(Path::new(DEFAULT_HOME), (Path::new(PACKAGED_HOME), Path::new(PACKAGED_CONF)), home, env)
    }

    fn new(home: PathBuf, conf_dir: PathBuf, ws_name: &Path, lapps_name: &Path) -> Places {
        Places { ws_file: conf_dir.join(ws_name), lapps_file: conf_dir.join(lapps_name), home, conf_dir }
    }

    /// Whether one of the files is there.
    fn is_used(&self) -> bool {
        self.ws_file.is_file() || self.lapps_file.is_file()
    }
}

/// A path from the root; a path that the system cannot make absolute stays as it is.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

fn find_with(
    default_home: &Path,
    (packaged_home, packaged_conf): (&Path, &Path),
    home: Option<&Path>,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Option<Places> {
    let path = |name: &str| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let (ws_config, lapps_config) = (path("WS_CONFIG"), path("LAPPS_CONFIG"));
    let ws_name = ws_config.as_deref().unwrap_or(Path::new(WS_NAME));
    let lapps_name = lapps_config.as_deref().unwrap_or(Path::new(LAPPS_NAME));

    if let Some(home) = home {
        return Some(Places::new(home.to_path_buf(), home.join(CONF_IN_HOME), ws_name, lapps_name));
    }
    let (env_home, env_conf) = (path("LAPPS_HOME"), path("LAPPS_CONF_DIR"));
    let default_conf = default_home.join(CONF_IN_HOME);
    if env_home.is_none() && env_conf.is_none() && ws_config.is_none() && lapps_config.is_none() {
        let habits = [(default_home, default_conf.as_path()), (packaged_home, packaged_conf)];
        let places = habits.map(|(home, conf)| Places::new(home.into(), conf.into(), ws_name, lapps_name));
        return places.into_iter().find(Places::is_used);
    }
    let home = env_home.unwrap_or_else(|| default_home.to_path_buf());
    let conf_dir = env_conf.unwrap_or_else(|| {
        let own = home.join(CONF_IN_HOME);
        if !own.is_dir() && default_conf.is_dir() { default_conf } else { own }
    });
    Some(Places::new(home, conf_dir, ws_name, lapps_name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Without packages.
    fn find_with(
        default_home: &Path,
        home: Option<&Path>,
        env: &dyn Fn(&str) -> Option<OsString>,
    ) -> Option<Places> {
        let nowhere = default_home.join("nowhere");
        super::find_with(default_home, (&nowhere, &nowhere), home, env)
    }

    fn env<'e>(set: &'e [(&'e str, &'e Path)]) -> impl Fn(&str) -> Option<OsString> + 'e {
        |name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_os_str().to_owned())
    }

    #[test]
    fn nothing_anywhere_is_the_demo() {
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(find_with(empty.path(), None, &|_| None), None);
        let set_but_empty = [("LAPPS_HOME", Path::new(""))];
        assert_eq!(find_with(empty.path(), None, &env(&set_but_empty)), None);
    }

    #[test]
    fn a_file_in_the_default_home_counts() {
        let default = tempfile::tempdir().unwrap();
        let conf = default.path().join("etc/conf");
        fs::create_dir_all(&conf).unwrap();
        assert_eq!(find_with(default.path(), None, &|_| None), None);
        fs::write(conf.join("lapps.json"), "{}").unwrap();
        let places = find_with(default.path(), None, &|_| None).unwrap();
        assert_eq!(places.home, default.path());
        assert_eq!(places.ws_file, conf.join("ws.json"));
        assert_eq!(places.lapps_file, conf.join("lapps.json"));
    }

    #[test]
    fn what_a_package_made_counts_behind_the_default_home() {
        let (default, packaged) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (home, conf) = (packaged.path().join("var"), packaged.path().join("etc"));
        let find = || super::find_with(default.path(), (&home, &conf), None, &|_| None);
        assert_eq!(find(), None);
        fs::create_dir_all(&conf).unwrap();
        fs::write(conf.join("ws.json"), "{}").unwrap();
        let places = find().unwrap();
        assert_eq!((&places.home, &places.conf_dir), (&home, &conf));
        assert_eq!(places.lapps_file, conf.join("lapps.json"));
        fs::create_dir_all(default.path().join("etc/conf")).unwrap();
        fs::write(default.path().join("etc/conf/ws.json"), "{}").unwrap();
        assert_eq!(find().unwrap().home, default.path());
    }

    #[test]
    fn the_argument_wins_over_the_environment_but_not_over_file_names() {
        let set = [
            ("LAPPS_HOME", Path::new("/elsewhere")),
            ("LAPPS_CONF_DIR", Path::new("/elsewhere/conf")),
            ("WS_CONFIG", Path::new("other.json")),
        ];
        let places = Places::find(Some(Path::new("/h")), &env(&set)).unwrap();
        assert_eq!(places.home, Path::new("/h"));
        assert_eq!(places.conf_dir, Path::new("/h/etc/conf"));
        assert_eq!(places.ws_file, Path::new("/h/etc/conf/other.json"));
        assert_eq!(places.lapps_file, Path::new("/h/etc/conf/lapps.json"));
    }

    #[test]
    fn the_environment_is_as_in_the_original() {
        let default = tempfile::tempdir().unwrap();
        let set = [("LAPPS_HOME", Path::new("/h")), ("LAPPS_CONF_DIR", Path::new("/c"))];
        let places = find_with(default.path(), None, &env(&set)).unwrap();
        assert_eq!((places.home.as_path(), places.conf_dir.as_path()), (Path::new("/h"), Path::new("/c")));

        let conf_only = [("LAPPS_CONF_DIR", Path::new("/c"))];
        let places = find_with(default.path(), None, &env(&conf_only)).unwrap();
        assert_eq!((places.home.as_path(), places.conf_dir.as_path()), (default.path(), Path::new("/c")));
    }

    #[test]
    fn a_home_without_conf_dir_falls_back_to_the_default_conf_dir_if_that_exists() {
        let default = tempfile::tempdir().unwrap();
        let home = tempfile::tempdir().unwrap();
        let set = [("LAPPS_HOME", home.path())];
        let found = || find_with(default.path(), None, &env(&set)).unwrap().conf_dir;
        assert_eq!(found(), home.path().join("etc/conf"));
        fs::create_dir_all(default.path().join("etc/conf")).unwrap();
        assert_eq!(found(), default.path().join("etc/conf"));
        fs::create_dir_all(home.path().join("etc/conf")).unwrap();
        assert_eq!(found(), home.path().join("etc/conf"));
    }
}
