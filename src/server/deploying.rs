//! The deployer in a server: before the start, at it, and on its own thread from then on.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::threads::Kind;
use super::{Outcome, Server};
use crate::config::{Config, Service};
use crate::services::deployer::Deployer;
use crate::sys::watch::{Stop, Watch};

/// A deployer that is not on its own thread yet.
pub(super) struct Deploying {
    deployer: Deployer,
    watch: Watch,
    stop: Stop,
}

/// Ends the thread of the deployer when it is dropped, as soon as what it has begun is done or undone.
pub(super) struct Handle(Stop);

impl Deploying {
    /// Begins to watch the deploy directory, if there is a home.
    pub(super) fn begin(config: &Config) -> io::Result<Option<Deploying>> {
        let Some(deployer) = Deployer::new(config) else { return Ok(None) };
        let (watch, stop) = Watch::new(deployer.directory())?;
        Ok(Some(Deploying { deployer, watch, stop }))
    }

    /// Deploys what is there already, and tells what to start.
    pub(super) fn prepare(&mut self) -> Vec<Service> {
        self.deployer.prepare()
    }
}

impl Server {
    /// Decides about what was deployed before the start, and lets the deployer go on by itself.
    pub(super) fn deploy(&mut self, deploying: Deploying) -> io::Result<()> {
        let Deploying { mut deployer, watch, stop } = deploying;
        let outcomes: Vec<_> = self
            .services()
            .map(|(service, outcome)| match outcome {
                Outcome::Failed(why) => (service.name.clone(), Some(Err(why.clone()))),
                // The order to stop came before its turn.
                Outcome::NotStarted if service.auto_start => (service.name.clone(), None),
                Outcome::Running | Outcome::NotStarted => (service.name.clone(), Some(Ok(()))),
            })
            .collect();
        let outcome = |name: &str| outcomes.iter().find(|(other, _)| other == name)?.1.clone();
        deployer.settle(&outcome, &mut |services| self.replace(services));
        let replacer = self.replacer();
        self.threads.spawn(Kind::Deployer, "deployer".into(), move || {
            let run = move || deployer.run(watch, &mut |services| replacer.replace(services));
            // A server without it goes on.
            match catch_unwind(AssertUnwindSafe(run)) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::error!("nothing is deployed any more: the directory cannot be watched: {error}");
                }
                Err(_) => tracing::error!("nothing is deployed any more: the deployer has panicked"),
            }
            Ok(())
        })?;
        self.deployer = Some(Handle(stop));
        Ok(())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.stop();
    }
}
