//! A follower falls behind under load, somebody is told, and it recovers.

use std::time::Duration;

use crdt_sync::Event;
use replication_log::ship::Stage;
use replication_log::ship::lag::{AlarmChange, LagAlarms, LagRule, Threshold};

use crate::cluster::*;

fn lag_of(cluster: &Cluster, node: usize) -> replication_log::ship::lag::Lag {
    let leadership = cluster.leadership(A);
    let (_, status) = leadership.followers.iter().find(|(known, _)| *known == id(node)).unwrap();
    status.lag_at(Stage::Applied).unwrap()
}

#[test]
fn lag_grows_while_a_follower_is_away_and_is_gone_when_it_has_caught_up() {
    let threshold = Threshold::Time { raise: Duration::from_secs(3), clear: Duration::from_secs(1) };
    let alarms = LagAlarms::new([LagRule { stage: Stage::Applied, threshold }]).unwrap();
    let mut cluster = Cluster::of_three(&settings("").with_alarms(alarms));
    cluster.settle();
    assert_eq!((lag_of(&cluster, B).entries, lag_of(&cluster, C).entries), (0, 0));
    cluster.disconnect(A, C);
    cluster.disconnect(B, C);
    for second in 1..=10 {
        cluster.write(A, add("visits", 1));
        cluster.pass(Duration::from_secs(1));
        assert_eq!(lag_of(&cluster, B).time, Duration::ZERO);
        let behind = lag_of(&cluster, C);
        assert!(behind.time >= Duration::from_secs(second - 1), "{behind:?} after {second}");
        assert!(behind.entries >= second && behind.bytes > 20 * second, "{behind:?} after {second}");
    }
    cluster.connect(A, C);
    cluster.settle();
    assert_eq!((lag_of(&cluster, C).entries, lag_of(&cluster, C).bytes), (0, 0));
    let alarms = cluster.events.iter().filter_map(|(_, event)| match event {
        Event::Lag(alarm) => Some((alarm.node, alarm.change)),
        _ => None,
    });
    assert_eq!(alarms.collect::<Vec<_>>(), [(id(C), AlarmChange::Raised), (id(C), AlarmChange::Cleared)]);
}
