//! The limit of open files: raised as far as it goes, and said plainly where that is not enough.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::failure::Failure;

/// Descriptors that a run needs besides its connections.
const RESERVE: u64 = 32;

/// Raises the soft limit to the hard one and checks that `connections` fit.
///
/// # Errors
/// [`Failure::Usage`] names limit and need; [`Failure::System`] if the limit cannot be set.
pub fn raise(connections: u32) -> Result<(), Failure> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .map_err(|error| Failure::system("raise the limit of open files", error))?;
    check(u64::from(connections), limit.maximum)
}

/// Raises the soft limit to the hard one and says how many connections fit.
///
/// # Errors
/// [`Failure::System`] if the limit cannot be set.
pub fn most() -> Result<u32, Failure> {
    raise(0)?;
    let limit = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    Ok(u32::try_from(limit.saturating_sub(RESERVE)).unwrap_or(u32::MAX))
}

/// `limit` is `None` where there is no limit.
fn check(connections: u64, limit: Option<u64>) -> Result<(), Failure> {
    match limit {
        Some(limit) if connections + RESERVE > limit => Err(Failure::Usage(format!(
            "{connections} connections need {} open files, and the hard limit here is {limit} (ulimit -Hn)",
            connections + RESERVE
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_too_low_is_named() {
        assert!(check(100, None).is_ok());
        assert!(check(100, Some(132)).is_ok());
        let text = check(100, Some(131)).unwrap_err().to_string();
        assert!(text.contains("132 open files") && text.contains("is 131"), "{text}");
    }

    #[test]
    fn the_soft_limit_is_raised() {
        raise(1).unwrap();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
