//! Requests counted by route, method and class of status: rate, errors and duration.
//!
//! A label is a route's pattern, never a path, so that their number is bounded and no tenant's id is among them. Each
//! resource finds its counters once; from then on a request costs a few atomic additions and no allocation.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::{Method, StatusCode};
use tenure_event_log::Histogram;

/// The label of every path that no route serves.
pub const UNMATCHED: &str = "unmatched";

/// Methods that are told apart; every other one is `other`.
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "other"];

/// Classes of status.
pub const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Bounds of a request's duration, in microseconds.
const MICROS: &[u64] = &[
    500, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000, 60_000, 125_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000,
];

/// Every route's counters.
pub struct HttpStats {
    routes: Mutex<BTreeMap<String, Arc<RouteStats>>>,
    unmatched: RouteStats,
    in_flight: AtomicI64,
}

/// One route's counters.
pub struct RouteStats {
    route: String,
    methods: [MethodStats; METHODS.len()],
}

/// One route's counters for one method.
pub struct MethodStats {
    /// How long the answer's head took, in microseconds.
    pub micros: Histogram,
    classes: [AtomicU64; CLASSES.len()],
}

/// Belongs to each resource: where its counters are.
#[derive(Default)]
pub struct RouteSlot(OnceLock<Arc<RouteStats>>);

/// A request that is being answered, for as long as this lives.
pub struct InFlight<'a>(&'a AtomicI64);

impl HttpStats {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self {
            routes: Mutex::new(BTreeMap::new()),
            unmatched: RouteStats::new(UNMATCHED.to_owned()),
            in_flight: AtomicI64::new(0),
        }
    }

    /// A request begins.
    pub fn enter(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(&self.in_flight)
    }

    /// Requests that are being answered.
    pub fn in_flight(&self) -> i64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// The counters of the route that served the request.
    pub fn of<'a>(&'a self, request: &'a HttpRequest) -> &'a RouteStats {
        let Some(slot) = request.app_data::<RouteSlot>() else { return &self.unmatched };
        slot.0.get_or_init(|| {
            let route = request.match_pattern().unwrap_or_else(|| UNMATCHED.to_owned());
            let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
            // Each worker has resources of its own; the counters are one per route.
            Arc::clone(routes.entry(route.clone()).or_insert_with(|| Arc::new(RouteStats::new(route))))
        })
    }

    /// Shows every route that was ever asked for.
    pub fn each(&self, mut show: impl FnMut(&RouteStats)) {
        let routes: Vec<_> =
            self.routes.lock().unwrap_or_else(PoisonError::into_inner).values().map(Arc::clone).collect();
        for route in &routes {
            show(route);
        }
        show(&self.unmatched);
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl RouteStats {
    fn new(route: String) -> Self {
        let methods = std::array::from_fn(|_| MethodStats {
            micros: Histogram::new(MICROS),
            classes: std::array::from_fn(|_| AtomicU64::new(0)),
        });
        Self { route, methods }
    }

    /// The route's pattern.
    pub fn route(&self) -> &str {
        &self.route
    }

    /// Counts one answer.
    pub fn count(&self, method: &Method, status: StatusCode, took: Duration) {
        let other = METHODS.len() - 1;
        let index = METHODS.iter().position(|name| *name == method.as_str()).unwrap_or(other);
        let method = &self.methods[index];
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        method.classes[class].fetch_add(1, Ordering::Relaxed);
        method.micros.observe_micros(took);
    }

    /// Each method's name and counters.
    pub fn methods(&self) -> impl Iterator<Item = (&'static str, &MethodStats)> {
        METHODS.into_iter().zip(&self.methods)
    }
}

impl MethodStats {
    /// Each class of status and how often it was answered, without those that never were.
    pub fn classes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.classes.iter().map(|count| count.load(Ordering::Relaxed));
        CLASSES.into_iter().zip(counts).filter(|(_, count)| *count > 0)
    }
}
