//! A receiver of OTLP on loopback, as a collector is: what the service sends to it is decoded and kept.

use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};

use actix_web::dev::ServerHandle;
use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpResponse, HttpServer, web};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

/// Stopped with the value.
pub struct Collector {
    pub url: String,
    received: Arc<Mutex<Received>>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Received {
    spans: Vec<Span>,
    bytes: Vec<u8>,
}

async fn traces(received: Data<Mutex<Received>>, body: Bytes) -> HttpResponse {
    let Ok(export) = ExportTraceServiceRequest::decode(body.clone()) else {
        return HttpResponse::BadRequest().finish();
    };
    let mut received = received.lock().unwrap();
    received.bytes.extend_from_slice(&body);
    let scopes = export.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    received.spans.extend(scopes.flat_map(|scope| scope.spans));
    HttpResponse::Ok().content_type("application/x-protobuf").finish()
}

impl Collector {
    pub fn start() -> Self {
        let received = Data::new(Mutex::new(Received::default()));
        let kept = Arc::clone(&received);
        let (started, start) = mpsc::channel();
        let thread = thread::spawn(move || {
            actix_web::rt::System::new().block_on(async {
                let app = move || App::new().app_data(received.clone()).route("/v1/traces", web::post().to(traces));
                let server = HttpServer::new(app).workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
                let address = server.addrs()[0];
                let server = server.run();
                started.send((address, server.handle())).unwrap();
                server.await.unwrap();
            });
        });
        let (address, handle) = start.recv().unwrap();
        Self { url: format!("http://{address}"), received: kept, handle, thread: Some(thread) }
    }

    /// Every span that came so far.
    pub fn spans(&self) -> Vec<Span> {
        self.received.lock().unwrap().spans.clone()
    }

    /// Everything that came, as it came.
    pub fn bytes(&self) -> Vec<u8> {
        self.received.lock().unwrap().bytes.clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // The command is on its way once the call returns; the thread's end shows that it arrived.
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// An attribute as text.
pub fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{key} is {other:?}"),
    }
}
