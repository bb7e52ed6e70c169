//! Which worker gets a new connection.

/// How busy a worker is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    /// Connections it owns.
    pub(crate) connections: usize,
    /// Things it has put off to its next turn.
    pub(crate) queued: usize,
}

/// The worker with the least weighted load among those with fewer than `max_connections`: a connection counts `weight`,
/// a queued thing counts 1. Among equals the first after `last`, so that an idle server spreads its connections.
pub(crate) fn pick(loads: &[Load], weight: f64, max_connections: usize, last: usize) -> Option<usize> {
    let count = loads.len();
    (1..=count)
        .map(|step| (last + step) % count)
        .filter(|&worker| loads[worker].connections < max_connections)
        .min_by(|&a, &b| weigh(loads[a], weight).total_cmp(&weigh(loads[b], weight)))
}

fn weigh(load: Load, weight: f64) -> f64 {
    load.connections as f64 * weight + load.queued as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(connections: usize, queued: usize) -> Load {
        Load { connections, queued }
    }

    #[test]
    fn the_least_loaded_worker_is_picked() {
        assert_eq!(pick(&[load(5, 0), load(3, 0), load(4, 0)], 1.0, 10, 0), Some(1));
        assert_eq!(pick(&[load(5, 0), load(3, 9), load(4, 0)], 1.0, 10, 0), Some(2));
    }

    #[test]
    fn the_weight_says_what_a_connection_counts() {
        let loads = [load(10, 0), load(1, 20)];
        assert_eq!(pick(&loads, 1.0, 100, 0), Some(0));
        assert_eq!(pick(&loads, 10.0, 100, 0), Some(1));
    }

    #[test]
    fn equals_take_turns() {
        let loads = [load(1, 0); 3];
        assert_eq!(pick(&loads, 1.0, 10, 0), Some(1));
        assert_eq!(pick(&loads, 1.0, 10, 2), Some(0));
    }

    #[test]
    fn a_full_worker_gets_nothing() {
        assert_eq!(pick(&[load(2, 0), load(1, 50)], 1.0, 2, 0), Some(1));
        assert_eq!(pick(&[load(2, 0), load(2, 0)], 1.0, 2, 0), None);
        assert_eq!(pick(&[], 1.0, 2, 0), None);
    }
}
