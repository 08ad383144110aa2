use super::*;

const START: Instant = Instant::from_micros(5_000_000);

fn limit() -> RepairsLimit {
    RepairsLimit { interval: Duration::from_millis(10), burst: 3, remembered: 8, ..RepairsLimit::default() }
}

#[test]
fn a_hot_key_costs_n_minus_one_repairs_per_version_however_often_it_is_read() {
    let mut repairs = Repairs::new(RepairsLimit::default());
    let (mut sent, key) = (0, 77);
    for version in 0..3 {
        for read in 0..1_000u64 {
            let now = START + Duration::from_millis(read);
            // Both of the two other replicas are behind, and their repair takes longer than all these reads.
            let granted = ['b', 'c'].map(|node| repairs.permit(key, version, node, now));
            sent += granted.iter().filter(|permit| **permit == Permit::Granted).count();
        }
    }
    assert_eq!(sent, 3 * 2);
}

#[test]
fn a_burst_is_followed_by_one_at_a_time() {
    let mut repairs = Repairs::new(limit());
    let mut granted = |count: u128, now: Instant, from: u128| {
        (from..from + count).filter(|key| repairs.permit(*key, 0, 'b', now) == Permit::Granted).count()
    };
    assert_eq!(granted(10, START, 0), 3);
    assert_eq!(granted(10, START + Duration::from_millis(9), 100), 0);
    assert_eq!(granted(10, START + Duration::from_millis(25), 200), 2);
    assert_eq!(granted(10, START + Duration::from_millis(30), 300), 1); // the half interval was not lost
    assert_eq!(granted(10, START + Duration::from_secs(60), 400), 3); // and no more than the burst is saved
}

#[test]
fn what_is_refused_for_now_is_not_remembered_as_sent() {
    let mut repairs = Repairs::new(RepairsLimit { burst: 1, ..limit() });
    assert_eq!(repairs.permit(1, 1, 'b', START), Permit::Granted);
    assert_eq!(repairs.permit(2, 1, 'b', START), Permit::TooMany);
    assert_eq!(repairs.permit(2, 1, 'b', START + Duration::from_millis(10)), Permit::Granted);
}

#[test]
fn a_repair_that_may_have_been_lost_is_sent_again_later() {
    let mut repairs = Repairs::new(limit());
    assert_eq!(repairs.permit(1, 1, 'b', START), Permit::Granted);
    let later = START + limit().repeat_after;
    assert_eq!(repairs.permit(1, 1, 'b', later), Permit::Granted);
    assert_eq!(repairs.permit(1, 1, 'b', later), Permit::Repeated);
}

#[test]
fn memory_is_bounded_and_what_is_newest_stays() {
    let mut repairs = Repairs::new(RepairsLimit { interval: Duration::ZERO, ..limit() });
    for key in 0..100 {
        assert_eq!(repairs.permit(key, 0, 'b', START), Permit::Granted);
        repairs.forget(key, 0, 'b');
        repairs.note(key, 0, 'b', START);
        assert!(repairs.remembered() <= 8);
    }
    assert_eq!(repairs.permit(99, 0, 'b', START), Permit::Repeated);
    assert_eq!(repairs.permit(0, 0, 'b', START), Permit::Granted);
    let mut forgetful = Repairs::new(RepairsLimit { remembered: 0, ..limit() });
    assert_eq!(forgetful.permit(1, 1, 'b', START), Permit::Granted);
    assert_eq!(forgetful.remembered(), 0);
}
