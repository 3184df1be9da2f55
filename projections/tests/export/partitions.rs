//! Where keys land: where Kafka's Java client puts them, so that what reads with it can join by key.

use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, admin};
use tenure_projections::export::Export;
use tenure_test_engines::shared_kafka;
use uuid::Uuid;

use super::comparison::assert_exported;
use super::meddling::{admin, raise_partitions};
use super::reader::read;
use super::{caught_up, customers, settings};
use crate::deployment::{Deployment, PATIENCE};
use crate::world::World;

/// Austin Appleby's `MurmurHash2` with the seed that Kafka uses.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let length = u32::try_from(data.len()).unwrap();
    let mut hash = 0x9747_b28c ^ length;
    let (blocks, rest) = data.as_chunks::<4>();
    for block in blocks {
        let mut k = u32::from_le_bytes(*block).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// Java's `Utils.toPositive(Utils.murmur2(key)) % partitions`.
pub fn partition(key: &str, partitions: i32) -> i32 {
    i32::try_from(murmur2(key.as_bytes()) & 0x7fff_ffff).unwrap() % partitions
}

/// The vectors of Kafka's own `UtilsTest`.
#[test]
fn the_hash_is_that_of_the_java_client() {
    for (text, hash) in [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ("abc", 479_470_107),
    ] {
        assert_eq!(murmur2(text.as_bytes()).cast_signed(), hash, "{text}");
    }
}

/// librdkafka has an implementation of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_clients_with_the_javas_partitioner_agree() {
    let Some(brokers) = shared_kafka() else { return };
    let topic = format!("partitions.{}", Uuid::now_v7().simple());
    let made = admin::NewTopic::new(&topic, 7, admin::TopicReplication::Fixed(1));
    admin(&brokers).create_topics(&[made], &admin::AdminOptions::new()).await.unwrap().remove(0).unwrap();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &brokers).set("partitioner", "murmur2_random").set("enable.idempotence", "true");
    let producer: BaseProducer = config.create().unwrap();
    for _ in 0..500 {
        producer.send(BaseRecord::to(&topic).key(&Uuid::now_v7().to_string()).payload("x")).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    let seen = read(&brokers, &topic).await;
    assert_eq!(seen.len(), 500);
    for record in seen {
        assert_eq!(record.partition, partition(record.key.as_deref().unwrap(), 7));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_partitions_under_a_running_export_move_no_tenant() {
    let Some(brokers) = shared_kafka() else { return };
    let deployment = Deployment::sqlite().await;
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let tenants = customers(&mut world, 12).await;
    let mut settings = settings(&brokers);
    settings.properties.insert("topic.metadata.refresh.interval.ms".to_owned(), "100".to_owned());
    let export = Export::start(settings.clone(), &views);
    caught_up(&export, &world).await;
    raise_partitions(&brokers, &settings.topic, 12).await;
    let began = std::time::Instant::now();
    // Long enough for the client to hear of them.
    while began.elapsed() < std::time::Duration::from_secs(2) {
        for tenant in &tenants {
            world.suspend(*tenant).await;
            world.reinstate(*tenant).await;
        }
        caught_up(&export, &world).await;
    }
    assert_exported(&views, &settings, &brokers).await;
    export.shutdown().await;
}
