//! Prometheus metrics. Names follow the dashboards of this field: `anteroom_requests_total{code}`,
//! `anteroom_requests_in_flight`, `anteroom_response_duration_seconds`, `anteroom_logins_total{…}`.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds of the response-time buckets, in microseconds.
const BUCKETS: [u64; 14] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000,
    60_000_000,
];

/// One sign-in, for `anteroom_logins_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Login {
    /// The connector's id.
    pub idp: String,
    /// `oidc` or `saml`
    pub protocol: &'static str,
    /// `success`, `failure` or `error`
    pub outcome: &'static str,
    /// The stable reason code; empty for success.
    pub reason: &'static str,
}

/// What one data-plane thread counts. Only its own core writes, so a request takes no lock and shares no cache line.
pub struct CoreMetrics {
    by_code: Vec<AtomicU64>,
    buckets: [AtomicU64; BUCKETS.len() + 1],
    micros: AtomicU64,
    in_flight: AtomicI64,
    tunnels: AtomicI64,
}

impl CoreMetrics {
    fn new() -> Self {
        Self {
            by_code: (0..500).map(|_| AtomicU64::new(0)).collect(),
            buckets: std::array::from_fn(|_| AtomicU64::new(0)),
            micros: AtomicU64::new(0),
            in_flight: AtomicI64::new(0),
            tunnels: AtomicI64::new(0),
        }
    }

    /// Counts an answer: its status, and the time until its head was ready.
    pub fn answered(&self, status: u16, took: Duration) {
        let bump =
            |cell: &AtomicU64, by: u64| cell.store(cell.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
        if let Some(cell) = self.by_code.get(usize::from(status.saturating_sub(100))) {
            bump(cell, 1);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.iter().position(|bound| micros <= *bound).unwrap_or(BUCKETS.len());
        if let Some(cell) = self.buckets.get(bucket) {
            bump(cell, 1);
        }
        bump(&self.micros, micros);
    }

    /// One request more, or less, whose answer is not finished.
    pub fn in_flight(&self, by: i64) {
        self.in_flight.store(self.in_flight.load(Ordering::Relaxed) + by, Ordering::Relaxed);
    }

    /// One upgraded connection more, or less.
    pub fn tunnels(&self, by: i64) {
        self.tunnels.store(self.tunnels.load(Ordering::Relaxed) + by, Ordering::Relaxed);
    }
}

/// All metrics of this process.
pub struct Metrics {
    registry: Mutex<Registry>,
    cores: Cores,
    logins: Family<Login, Counter>,
}

type Gauge = Box<dyn Fn() -> u64 + Send + Sync>;

impl Metrics {
    /// Metrics of one process; `sessions` counts the live sessions when asked.
    pub fn new(sessions: Gauge) -> Self {
        let mut registry = Registry::with_prefix("anteroom");
        let cores = Cores(Arc::default());
        let logins = Family::<Login, Counter>::default();
        registry.register("logins", "Sign-ins by connector, outcome and reason", logins.clone());
        registry.register_collector(Box::new(cores.clone()));
        registry.register_collector(Box::new(Sessions(sessions)));
        Self { registry: Mutex::new(registry), cores, logins }
    }

    /// Counters for one more data-plane thread.
    pub fn core(&self) -> Arc<CoreMetrics> {
        let core = Arc::new(CoreMetrics::new());
        self.cores.0.lock().unwrap_or_else(PoisonError::into_inner).push(core.clone());
        core
    }

    /// Shows what `expiries` says at each scrape: per connector, when the first of its certificates or its metadata
    /// expires.
    pub fn watch_metadata(&self, expiries: Expiries) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register_collector(Box::new(MetadataExpiry(expiries)));
    }

    /// Counts a sign-in.
    pub fn login(&self, login: &Login) {
        self.logins.get_or_create(login).inc();
    }

    /// The metrics as OpenMetrics 1.0 text.
    pub fn render(&self) -> String {
        let mut out = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing into a String does not fail.
        prometheus_client::encoding::text::encode(&mut out, &registry).ok();
        out
    }
}

struct Sessions(Gauge);

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions")
    }
}

impl Collector for Sessions {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let count = ConstGauge::new(i64::try_from((self.0)()).unwrap_or(i64::MAX));
        let metric = encoder.encode_descriptor("sessions_active", "Sessions held", None, MetricType::Gauge)?;
        count.encode(metric)
    }
}

/// By connector, in seconds since the Unix epoch; nothing for one of which nothing is known.
type Expiries = Box<dyn Fn() -> Vec<(String, i64)> + Send + Sync>;

struct MetadataExpiry(Expiries);

impl std::fmt::Debug for MetadataExpiry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MetadataExpiry")
    }
}

impl Collector for MetadataExpiry {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut metric = encoder.encode_descriptor(
            "saml_metadata_expires_timestamp",
            "When the first of a SAML provider's certificates, or its metadata, expires",
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        for (idp, at) in (self.0)() {
            ConstGauge::new(at).encode(metric.encode_family(&[("idp", idp)])?)?;
        }
        Ok(())
    }
}

#[derive(Clone)]
struct Cores(Arc<Mutex<Vec<Arc<CoreMetrics>>>>);

impl std::fmt::Debug for Cores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cores")
    }
}

impl Collector for Cores {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let cores = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut metric = encoder.encode_descriptor("requests", "Answers by status", None, MetricType::Counter)?;
        for code in 0..500usize {
            let cells = cores.iter().filter_map(|core| core.by_code.get(code));
            let count: u64 = cells.map(|cell| cell.load(Ordering::Relaxed)).sum();
            if count > 0 {
                ConstCounter::new(count).encode(metric.encode_family(&[("code", (code + 100).to_string())])?)?;
            }
        }
        let sum =
            |of: fn(&CoreMetrics) -> &AtomicI64| -> i64 { cores.iter().map(|c| of(c).load(Ordering::Relaxed)).sum() };
        let metric =
            encoder.encode_descriptor("requests_in_flight", "Requests being answered", None, MetricType::Gauge)?;
        ConstGauge::new(sum(|c| &c.in_flight)).encode(metric)?;
        let metric =
            encoder.encode_descriptor("tunnels_active", "Upgraded connections open", None, MetricType::Gauge)?;
        ConstGauge::new(sum(|c| &c.tunnels)).encode(metric)?;

        let mut metric = encoder.encode_descriptor(
            "response_duration",
            "Time from a request's head to its answer's head",
            Some(&Unit::Seconds),
            MetricType::Histogram,
        )?;
        let mut total = 0;
        let mut buckets = Vec::with_capacity(BUCKETS.len() + 1);
        let bounds = BUCKETS.iter().map(|micros| Duration::from_micros(*micros).as_secs_f64()).chain([f64::INFINITY]);
        for (i, bound) in bounds.enumerate() {
            let cells = cores.iter().filter_map(|core| core.buckets.get(i));
            let count: u64 = cells.map(|cell| cell.load(Ordering::Relaxed)).sum();
            total += count;
            buckets.push((bound, count));
        }
        let micros: u64 = cores.iter().map(|core| core.micros.load(Ordering::Relaxed)).sum();
        metric.encode_histogram::<NoLabelSet>(Duration::from_micros(micros).as_secs_f64(), total, &buckets, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_added_up_and_names_are_those_of_the_dashboards() {
        let metrics = Metrics::new(Box::new(|| 7));
        let (a, b) = (metrics.core(), metrics.core());
        a.answered(200, Duration::from_millis(3));
        b.answered(200, Duration::from_secs(100));
        b.answered(502, Duration::from_micros(1));
        a.in_flight(1);
        metrics.watch_metadata(Box::new(|| vec![("globex".into(), 1_800_000_000)]));
        metrics.login(&Login { idp: "acme".into(), protocol: "oidc", outcome: "success", reason: "" });
        let text = metrics.render();
        for line in [
            "anteroom_requests_total{code=\"200\"} 2",
            "anteroom_requests_total{code=\"502\"} 1",
            "anteroom_requests_in_flight 1",
            "anteroom_sessions_active 7",
            "anteroom_response_duration_seconds_bucket{le=\"0.005\"} 2",
            "anteroom_response_duration_seconds_bucket{le=\"+Inf\"} 3",
            "anteroom_response_duration_seconds_count 3",
            "anteroom_logins_total{idp=\"acme\",protocol=\"oidc\",outcome=\"success\",reason=\"\"} 1",
            "anteroom_saml_metadata_expires_timestamp_seconds{idp=\"globex\"} 1800000000",
            "# EOF",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
