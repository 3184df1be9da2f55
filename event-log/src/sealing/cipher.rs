//! The AEAD: XChaCha20-Poly1305, whose nonces are long enough to be drawn at random, with what a ciphertext belongs to
//! as associated data.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, AeadInPlace, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand::RngCore;
use rand::rngs::OsRng;
use secrecy::zeroize::Zeroizing;
use uuid::Uuid;

use crate::engine::KeyId;
use crate::event::StreamId;

const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// Before the sealed text, so that another cipher can follow one day.
const VALUE_VERSION: &str = "v1.";

/// The first byte of a wrapped key.
const KEY_VERSION: u8 = 1;

/// An opened value; wiped when dropped.
pub(super) type Plain = Zeroizing<Vec<u8>>;

/// The bytes of a key; wiped when dropped.
pub(super) type KeyBytes = Zeroizing<[u8; 32]>;

/// It is not what was sealed, or not where it was sealed.
#[derive(Debug)]
pub(super) struct Altered;

/// Where a value stands.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub stream: &'a StreamId,
    pub sequence: u64,
}

/// Seals the values of one stream. The cipher wipes its key when dropped.
pub(super) struct DataKey(XChaCha20Poly1305);

/// Wraps other keys: the master key's part for tenants' keys, or a tenant's for its streams'.
pub(super) struct WrappingKey(XChaCha20Poly1305);

/// A new random key.
pub(super) fn random_key() -> KeyBytes {
    let mut bytes = KeyBytes::default();
    OsRng.fill_bytes(bytes.as_mut());
    bytes
}

impl DataKey {
    pub fn new(bytes: &KeyBytes) -> Self {
        Self(XChaCha20Poly1305::new(bytes.as_slice().into()))
    }

    /// The sealed text of the value at `path` of the event at `place`.
    pub fn seal(&self, place: Place<'_>, path: &str, plain: &[u8]) -> String {
        let mut text = VALUE_VERSION.to_owned();
        URL_SAFE_NO_PAD.encode_string(encrypt(&self.0, plain, &place.bind(path)), &mut text);
        text
    }

    pub fn open(&self, place: Place<'_>, path: &str, sealed: &str) -> Result<Plain, Altered> {
        let encoded = sealed.strip_prefix(VALUE_VERSION).ok_or(Altered)?;
        let sealed = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| Altered)?;
        decrypt(&self.0, &sealed, &place.bind(path))
    }
}

impl WrappingKey {
    pub fn new(bytes: &KeyBytes) -> Self {
        Self(XChaCha20Poly1305::new(bytes.as_slice().into()))
    }

    /// Wraps `key`, bound to its name and to the tenant under whom it is destroyed.
    pub fn wrap(&self, id: &KeyId, tenant_id: Uuid, key: &KeyBytes) -> Vec<u8> {
        let mut wrapped = vec![KEY_VERSION];
        wrapped.extend(encrypt(&self.0, key.as_slice(), &bind_key(id, tenant_id)));
        wrapped
    }

    pub fn unwrap(&self, id: &KeyId, tenant_id: Uuid, wrapped: &[u8]) -> Result<KeyBytes, Altered> {
        let (&KEY_VERSION, sealed) = wrapped.split_first().ok_or(Altered)? else { return Err(Altered) };
        let plain = decrypt(&self.0, sealed, &bind_key(id, tenant_id))?;
        let bytes: &[u8; 32] = plain.as_slice().try_into().map_err(|_| Altered)?;
        Ok(Zeroizing::new(*bytes))
    }
}

impl Place<'_> {
    fn bind(&self, path: &str) -> Vec<u8> {
        let StreamId { aggregate_type, aggregate_id } = self.stream;
        let sequence = self.sequence.to_be_bytes();
        bind(&[b"tenure value v1", aggregate_type.as_bytes(), aggregate_id.as_bytes(), &sequence, path.as_bytes()])
    }
}

fn bind_key(id: &KeyId, tenant_id: Uuid) -> Vec<u8> {
    let tenant_id = tenant_id.as_bytes();
    match id {
        KeyId::Tenant(_) => bind(&[b"tenure tenant key v1", tenant_id]),
        KeyId::Stream(StreamId { aggregate_type, aggregate_id }) => {
            bind(&[b"tenure stream key v1", tenant_id, aggregate_type.as_bytes(), aggregate_id.as_bytes()])
        }
    }
}

/// Each part with its length before it, so that no two lists of parts look the same.
pub(super) fn bind(parts: &[&[u8]]) -> Vec<u8> {
    let mut bound = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        bound.extend((part.len() as u64).to_be_bytes());
        bound.extend(*part);
    }
    bound
}

fn encrypt(cipher: &XChaCha20Poly1305, plain: &[u8], aad: &[u8]) -> Vec<u8> {
    let mut nonce = XNonce::default();
    // Must not repeat, need not be secret: the thread's generator spares a system call for every value.
    rand::thread_rng().fill_bytes(&mut nonce);
    let mut sealed = Vec::with_capacity(NONCE_BYTES + plain.len() + TAG_BYTES);
    sealed.extend(nonce);
    sealed.extend(plain);
    let tag = cipher.encrypt_in_place_detached(&nonce, aad, &mut sealed[NONCE_BYTES..]);
    sealed.extend(tag.expect("the cipher takes 256 GB"));
    sealed
}

fn decrypt(cipher: &XChaCha20Poly1305, sealed: &[u8], aad: &[u8]) -> Result<Plain, Altered> {
    let (nonce, msg) = sealed.split_at_checked(NONCE_BYTES).ok_or(Altered)?;
    cipher.decrypt(XNonce::from_slice(nonce), Payload { msg, aad }).map(Zeroizing::new).map_err(|_| Altered)
}
