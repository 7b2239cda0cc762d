//! Traces for an `OpenTelemetry` collector: a span for each request, and in it one for each operation of the database.
//!
//! The spans have the target `shop::trace`. They exist only if an exporter is installed; otherwise the log's filter
//! turns them off, and they cost nothing.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry::{
    KeyValue,
    trace::{TraceContextExt, TracerProvider},
};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::{Span, Subscriber, level_filters::LevelFilter};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

use crate::core::error::{Error, Result};

/// The directive that hides the spans from the log.
pub const NOT_IN_LOG: &str = "shop::trace=off";

/// How long a request to the collector may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends spans in batches, from a thread of its own. If the collector is slow, spans are dropped.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Starts the exporter. `url` is that of the collector, without `/v1/traces`.
    pub fn start(url: &str, runtime: Handle) -> Result<Traces> {
        let http = reqwest::Client::builder().timeout(TIMEOUT).build();
        let client = CollectorClient {
            http: http.map_err(Error::internal)?,
            runtime,
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(format!("{url}/v1/traces"))
            .with_timeout(TIMEOUT)
            .build()
            .map_err(Error::internal)?;
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder()
            .with_service_name("shop")
            .with_attribute(version)
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .build();
        Ok(Traces(provider))
    }

    /// Returns the layer that records the spans.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("shop"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target("shop::trace", LevelFilter::TRACE))
    }

    /// Sends the last spans. Blocks for some seconds at most.
    pub fn end(&self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "could not send the last traces");
        }
    }
}

/// Renames a span that has begun, which its fields cannot do.
pub fn rename(span: &Span, name: String) {
    span.context().span().update_name(name);
}

/// Sends requests on the runtime: the exporter's thread has none.
#[derive(Debug)]
struct CollectorClient {
    http: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for CollectorClient {
    async fn send_bytes(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let http = self.http.clone();
        let sending = async move { http.send_bytes(request).await };
        self.runtime.spawn(sending).await?
    }
}
