//! From a request to a response, without a socket.

use serde_json::json;

use crate::standing::{Role, Standing};

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// 200 where the node is what was asked for, 503 where it is not; 400, 404 and 405 where the question was wrong.
    pub status: u16,
    /// JSON that says what the node is; empty for `HEAD` and `OPTIONS`.
    pub body: String,
}

/// Answers a request, given by its method (`GET`, `HEAD` or `OPTIONS`) and its target, as `/replica?lag=10MB`.
///
/// | path | 200 where the node |
/// |---|---|
/// | `/primary`, `/read-write`, `/` | leads, and its lease lasts |
/// | `/replica`, `/replica?lag=10MB` | follows, at most so far behind |
/// | `/read-only`, `/read-only?lag=10MB` | leads or follows |
/// | `/readiness`, `/readiness?lag=10MB` | leads or follows: it may be sent traffic |
/// | `/health` | is up, and leads (with a lease or without) or follows |
/// | `/liveness` | need not be started again |
///
/// ```
/// use crdt_sync_http::{Standing, respond};
///
/// let replica = Standing::replica(Some(64 * 1024));
/// assert_eq!(respond(&replica, "OPTIONS", "/replica?lag=1MB").status, 200);
/// assert_eq!(respond(&replica, "OPTIONS", "/replica?lag=16kB").status, 503);
/// assert_eq!(respond(&replica, "GET", "/primary").status, 503);
/// ```
pub fn respond(standing: &Standing, method: &str, target: &str) -> Response {
    if !matches!(method, "GET" | "HEAD" | "OPTIONS") {
        return Response { status: 405, body: String::new() };
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let status = match most_lag(query) {
        Ok(most) => status(standing, path, most),
        Err(NoAmount) => 400,
    };
    let body = if method == "GET" { describe(standing) } else { String::new() };
    Response { status, body }
}

fn status(standing: &Standing, path: &str, most: Option<u64>) -> u16 {
    let so = match path {
        "/" | "/primary" | "/read-write" => standing.leads(),
        "/replica" => standing.follows(most),
        "/read-only" | "/readiness" => standing.leads() || standing.follows(most),
        "/health" => standing.alive && standing.role != Role::None,
        "/liveness" => standing.alive,
        _ => return 404,
    };
    if so { 200 } else { 503 }
}

fn describe(standing: &Standing) -> String {
    let role = match standing.role {
        Role::Primary => "primary",
        Role::Replica => "replica",
        Role::None => "none",
    };
    let told = json!({
        "role": role,
        "leads": standing.leads(),
        "grant": standing.grant.map(crdt_sync::failover::Grant::number),
        "lag": standing.lag,
        "address": standing.address,
        "alive": standing.alive,
    });
    told.to_string()
}

struct NoAmount;

/// The bound that a query asks for; the last one if there are several. Other parameters are left alone.
fn most_lag(query: &str) -> Result<Option<u64>, NoAmount> {
    let asked = query.split('&').filter_map(|parameter| parameter.strip_prefix("lag=")).next_back();
    asked.map(|amount| bytes(amount).ok_or(NoAmount)).transpose()
}

/// An amount of memory: a number of bytes, or of units that are 1024 times each other.
fn bytes(amount: &str) -> Option<u64> {
    const UNITS: [(&str, u32); 5] = [("kB", 10), ("MB", 20), ("GB", 30), ("TB", 40), ("B", 0)];
    let unit = UNITS.iter().find_map(|(name, shift)| Some((amount.strip_suffix(name)?, *shift)));
    let (digits, shift) = unit.unwrap_or((amount, 0));
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use crdt_sync::failover::Grant;
    use proptest::prelude::*;

    use super::*;

    const PATHS: [&str; 6] = ["/primary", "/replica", "/read-only", "/readiness", "/health", "/liveness"];

    fn statuses(standing: &Standing) -> [u16; 6] {
        PATHS.map(|path| respond(standing, "HEAD", path).status)
    }

    #[test]
    fn each_standing_has_its_statuses() {
        let primary = Standing::primary(Grant::FIRST, true, "a:1");
        assert_eq!(statuses(&primary), [200, 503, 200, 200, 200, 200]);
        let expired = Standing { leased: false, ..primary.clone() };
        assert_eq!(statuses(&expired), [503, 503, 503, 503, 200, 200]);
        assert_eq!(statuses(&Standing::replica(None)), [503, 200, 200, 200, 200, 200]);
        assert_eq!(statuses(&Standing::none()), [503, 503, 503, 503, 503, 200]);
        assert_eq!(statuses(&Standing { alive: false, ..primary }), [503; 6]);
    }

    #[test]
    fn a_replica_is_asked_how_far_behind_it_may_be() {
        let ask = |lag, target: &str| respond(&Standing::replica(lag), "GET", target).status;
        assert_eq!(ask(Some(10 << 20), "/replica?lag=10MB"), 200);
        assert_eq!(ask(Some((10 << 20) + 1), "/replica?lag=10MB"), 503);
        assert_eq!(ask(Some(5), "/replica?lag=5"), 200);
        assert_eq!(ask(Some(5), "/replica?other=1&lag=4B"), 503);
        assert_eq!(ask(None, "/replica?lag=10MB"), 503, "it does not know");
        for wrong in ["10XB", "-1", "", "MB", "+1", "99999999999TB", "1.5MB"] {
            assert_eq!(ask(None, &format!("/replica?lag={wrong}")), 400, "{wrong}");
        }
    }

    #[test]
    fn only_a_get_is_answered_at_length() {
        let primary = Standing::primary(Grant::FIRST, true, "10.0.0.7:7400");
        let body = respond(&primary, "GET", "/primary").body;
        let told: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&told["role"], &told["grant"]), (&json!("primary"), &json!(1)));
        for (method, status) in [("HEAD", 200), ("OPTIONS", 200), ("POST", 405), ("get", 405)] {
            assert_eq!(respond(&primary, method, "/"), Response { status, body: String::new() });
        }
        assert_eq!(respond(&primary, "GET", "/primary/").status, 404);
    }

    proptest! {
        #[test]
        fn no_request_is_too_odd_for_an_answer(method in ".{0,8}", target in ".{0,40}", lag in "[0-9kMGTB]{0,24}") {
            respond(&Standing::none(), &method, &target);
            respond(&Standing::none(), "GET", &format!("/replica?lag={lag}"));
        }
    }
}
