//! From the payload that a caller hands over to the one that is stored, in one pass over its text: everything is checked
//! and copied, and what is marked as personal is sealed on the way.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::markers::{ERASED, PERSONAL, SEALED};
use crate::event::Json;

/// Nested objects and arrays in a payload. `serde_json` reads back no more than 127.
const MAX_DEPTH: usize = 100;

/// What is wrong with a payload.
pub(super) type Mistake = &'static str;

/// Seals a value, given as JSON text, that stands at a JSON pointer.
pub(super) type Seal<'a> = &'a dyn Fn(&str, &[u8]) -> String;

/// The payload as it is stored. `seal` may be left out where nothing is personal.
///
/// # Errors
/// It is nested too deeply, holds U+0000, or bears a mark in a wrong place.
pub(super) fn transcribe(payload: &Json, seal: Option<Seal<'_>>) -> Result<Json, Mistake> {
    // A sealed value is longer than a plain one.
    let mut copy = Copy { text: Vec::with_capacity(2 * payload.text().len()), seal, mistake: None };
    let mut source = serde_json::Deserializer::from_str(payload.text());
    let node = Node { copy: &mut copy, path: &Path::Root, depth: 1, is_sealed: false };
    let copied = node.deserialize(&mut source).and_then(|()| source.end());
    match (copied, copy.mistake) {
        (Ok(()), None) => Ok(Json::checked(String::from_utf8(copy.text).map_err(|_| "a payload is no text")?)),
        (_, Some(mistake)) => Err(mistake),
        (Err(_), None) => Err("a payload is no JSON that can be read back"),
    }
}

/// Whether something in the payload may be personal: false only if nothing is.
pub(super) fn may_hold_personal(payload: &Json) -> bool {
    // As serde_json writes a field's name. Inside a string the second quotation mark would have a backslash before it.
    payload.text().contains("\"$personal\"")
}

struct Copy<'a> {
    text: Vec<u8>,
    seal: Option<Seal<'a>>,
    /// The first one.
    mistake: Option<Mistake>,
}

impl Copy<'_> {
    fn fail<E: de::Error>(&mut self, mistake: Mistake) -> E {
        E::custom(self.mistake.get_or_insert(mistake))
    }

    /// A text or a number. Writing to memory can't fail.
    fn write<E: de::Error>(&mut self, value: impl serde::Serialize) -> Result<(), E> {
        serde_json::to_writer(&mut self.text, &value).map_err(E::custom)
    }

    fn write_text<E: de::Error>(&mut self, text: &str) -> Result<(), E> {
        if text.contains('\0') {
            return Err(self.fail("a text holds U+0000"));
        }
        self.write(text)
    }
}

/// The way to a value. Spelt out only where there is something to seal.
enum Path<'a> {
    Root,
    Member(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl Path<'_> {
    /// As a JSON pointer (RFC 6901).
    fn pointer(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Member(above, name) => {
                let mut pointer = above.pointer();
                super::markers::push_segment(&mut pointer, name);
                pointer
            }
            Self::Item(above, index) => format!("{}/{index}", above.pointer()),
        }
    }
}

/// One value on its way.
struct Node<'a, 'c> {
    copy: &'a mut Copy<'c>,
    path: &'a Path<'a>,
    depth: usize,
    /// It is part of a value that is sealed as a whole.
    is_sealed: bool,
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.depth > MAX_DEPTH {
            return Err(self.copy.fail("a payload is nested too deeply"));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.copy.write(())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.copy.write(value)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.copy.write(value)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.copy.write(value)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.copy.write(value)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        self.copy.write_text(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { copy, path, depth, is_sealed } = self;
        copy.text.push(b'[');
        for index in 0usize.. {
            let end = copy.text.len();
            if index > 0 {
                copy.text.push(b',');
            }
            let item = Node { copy: &mut *copy, path: &Path::Item(path, index), depth: depth + 1, is_sealed };
            if items.next_element_seed(item)?.is_none() {
                copy.text.truncate(end);
                break;
            }
        }
        copy.text.push(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Self { copy, path, depth, is_sealed } = self;
        copy.text.push(b'{');
        let mut is_first = true;
        while let Some(Name(name)) = members.next_key_seed(NameSeed)? {
            let is_personal = name == PERSONAL;
            if name == SEALED || name == ERASED || (is_personal && !is_first) {
                return Err(copy.fail(MARKED));
            }
            if !is_first {
                copy.text.push(b',');
            }
            is_first = false;
            let (member, below) = (Path::Member(path, &name), depth + 1);
            if is_personal && !is_sealed {
                let start = copy.text.len();
                members.next_value_seed(Node { copy: &mut *copy, path: &member, depth: below, is_sealed: true })?;
                let Some(seal) = copy.seal else { return Err(copy.fail(MARKED)) };
                let sealed = seal(&path.pointer(), &copy.text[start..]);
                copy.text.truncate(start);
                copy.write(SEALED)?;
                copy.text.push(b':');
                copy.write(&*sealed)?;
            } else {
                copy.write_text(&name)?;
                copy.text.push(b':');
                members.next_value_seed(Node { copy: &mut *copy, path: &member, depth: below, is_sealed })?;
            }
            // Whoever bears the mark bears nothing else.
            if is_personal && members.next_key_seed(NameSeed)?.is_some() {
                return Err(copy.fail(MARKED));
            }
        }
        copy.text.push(b'}');
        Ok(())
    }
}

const MARKED: Mistake = "a payload bears a mark of the log's ($personal, $sealed, $erased) in a wrong place";

/// A field's name, copied only if something in it is escaped.
struct Name<'de>(Cow<'de, str>);

struct NameSeed;

impl<'de> DeserializeSeed<'de> for NameSeed {
    type Value = Name<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Name<'de>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for NameSeed {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_borrowed_str<E: de::Error>(self, name: &'de str) -> Result<Name<'de>, E> {
        Ok(Name(name.into()))
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Name<'de>, E> {
        Ok(Name(name.to_owned().into()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn sealed(payload: &Value) -> Result<String, Mistake> {
        let seal = |path: &str, text: &[u8]| format!("{path}={}", String::from_utf8_lossy(text));
        transcribe(&Json::of(payload).unwrap(), Some(&seal)).map(|sealed| sealed.text().to_owned())
    }

    #[test]
    fn every_personal_value_is_sealed_under_its_own_pointer() {
        let payload = json!({"a.b": {"x/y": [{"$personal": "v"}, 1], "~": {"$personal": {"deep": true}}}});
        assert_eq!(
            serde_json::from_str::<Value>(&sealed(&payload).unwrap()).unwrap(),
            json!({"a.b": {"x/y": [{"$sealed": "/a.b/x~1y/0=\"v\""}, 1], "~": {"$sealed": "/a.b/~0={\"deep\":true}"}}})
        );
    }

    #[test]
    fn what_is_not_personal_is_copied_letter_by_letter() {
        let payload =
            json!({"t": ["", "\"\\\n\u{1f600}é", -1, 0, u64::MAX, 1.5e-9, true, false, null, {}, [], {"q\"": [[]]}]});
        assert!(!may_hold_personal(&Json::of(&payload).unwrap()));
        assert_eq!(sealed(&payload).unwrap(), payload.to_string());
        let quoted = Json::of(&json!(["\"$personal\""])).unwrap();
        assert!(!may_hold_personal(&quoted), "a text that looks like the mark is none");
    }

    #[test]
    fn a_number_is_the_same_number_afterwards() {
        let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..10_000 {
            bits ^= bits << 13;
            bits ^= bits >> 7;
            bits ^= bits << 17;
            let number = f64::from_bits(bits);
            if number.is_finite() {
                let payload = json!([number]);
                assert_eq!(sealed(&payload).unwrap(), payload.to_string());
            }
        }
    }

    #[test]
    fn a_value_within_a_personal_one_is_sealed_with_it() {
        let payload = json!({"a": {"$personal": [{"$personal": 1}]}});
        assert_eq!(sealed(&payload).unwrap(), json!({"a": {"$sealed": "/a=[{\"$personal\":1}]"}}).to_string());
    }

    #[test]
    fn a_caller_can_not_hand_over_what_only_the_log_writes() {
        for forged in [
            json!({"$sealed": "v1.x"}),
            json!({"$erased": true}),
            json!({"$personal": 1, "other": 2}),
            json!({"other": 2, "$personal": 1}),
            json!({"$personal": {"$sealed": "v1.x"}}),
        ] {
            assert_eq!(sealed(&forged), Err(MARKED), "{forged}");
        }
        let escaped = Json::new(r#"{"\u0024personal": 1}"#).unwrap();
        assert_eq!(transcribe(&escaped, None), Err(MARKED), "without a key nothing personal is stored");
    }
}
