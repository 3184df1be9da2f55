//! A real name server on loopback, over UDP and TCP, with one zone that holds everything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{CNAME, SOA, TXT};
use hickory_proto::rr::{LowerName, Name, RData, Record};
use hickory_server::Server;
use hickory_server::net::runtime::{Time, TokioRuntimeProvider};
use hickory_server::net::xfer::Protocol;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, MessageResponseBuilder, ZoneType};
use tokio::net::{TcpListener, UdpSocket};

const SERIAL: u32 = 1;

/// Stopped with the value.
pub struct NameServer {
    pub address: SocketAddr,
    zone: Arc<InMemoryZoneHandler<TokioRuntimeProvider>>,
    over_tcp: Arc<AtomicU64>,
    server: Server<Moody>,
}

/// The zone, but names below `broken.example` fail and those below `silent.example` get no answer.
struct Moody {
    catalog: Catalog,
    over_tcp: Arc<AtomicU64>,
}

#[async_trait::async_trait]
impl RequestHandler for Moody {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut answer: R) -> ResponseInfo {
        if request.protocol() == Protocol::Tcp {
            self.over_tcp.fetch_add(1, Ordering::Relaxed);
        }
        let name = request.request_info().unwrap().query.name().to_string();
        if name.ends_with("silent.example.") {
            std::future::pending::<()>().await;
        }
        if name.ends_with("broken.example.") {
            let failed = MessageResponseBuilder::from_message_request(request);
            let failed = failed.error_msg(&request.metadata, ResponseCode::ServFail);
            return answer.send_response(failed).await.unwrap();
        }
        self.catalog.handle_request::<R, T>(request, answer).await
    }
}

impl NameServer {
    pub async fn start() -> Self {
        let mut zone = InMemoryZoneHandler::empty(Name::root(), ZoneType::Primary, AxfrPolicy::Deny);
        let soa = SOA::new(Name::root(), Name::root(), SERIAL, 60, 60, 60, 60);
        zone.upsert_mut(Record::from_rdata(Name::root(), 60, RData::SOA(soa)), SERIAL);
        let (zone, over_tcp) = (Arc::new(zone), Arc::new(AtomicU64::new(0)));
        let mut catalog = Catalog::new();
        catalog.upsert(LowerName::new(&Name::root()), vec![zone.clone()]);
        let mut server = Server::new(Moody { catalog, over_tcp: over_tcp.clone() });
        // The same port for both.
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().unwrap();
        server.register_socket(udp);
        server.register_listener(tcp, Duration::from_secs(5), 64);
        Self { address, zone, over_tcp, server }
    }

    /// Publishes a TXT record of these strings, beside those that there are.
    pub async fn publish(&self, domain: &str, strings: &[&str]) {
        let text = TXT::new(strings.iter().map(ToString::to_string).collect());
        self.put(domain, RData::TXT(text)).await;
    }

    /// Publishes what proves that a tenant's domain is its own.
    pub async fn publish_proof(&self, tenant: &serde_json::Value) {
        let proof = format!("nb-verification={}", tenant["dns_challenge"].as_str().unwrap());
        self.publish(tenant["domain"].as_str().unwrap(), &[&proof]).await;
    }

    /// Makes a domain another name of a target.
    pub async fn alias(&self, domain: &str, target: &str) {
        self.put(domain, RData::CNAME(CNAME(name(target)))).await;
    }

    /// How many questions came over TCP.
    pub fn over_tcp(&self) -> u64 {
        self.over_tcp.load(Ordering::Relaxed)
    }

    async fn put(&self, domain: &str, data: RData) {
        assert!(self.zone.upsert(Record::from_rdata(name(domain), 60, data), SERIAL).await);
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.server.shutdown_token().cancel();
    }
}

fn name(domain: &str) -> Name {
    Name::from_ascii(format!("{domain}.")).unwrap()
}
