//! Parses the fields of a body all at once, so that a client learns of every mistake in one answer.

use std::fmt::Display;

use tenure_aggregates::values::{
    DisplayName, EmailAddress, EmailError, LimitError, ModuleName, Modules, ResourceLimit, SeatLimit, TextError,
};

use crate::native::problem::FieldError;

/// Field values in the making, and what is wrong with them so far.
#[derive(Default)]
pub struct Checked {
    errors: Vec<FieldError>,
}

impl Checked {
    /// Parses a field that must be there.
    pub fn required<I, T, E: Display>(
        &mut self,
        pointer: &str,
        value: Option<I>,
        parse: impl FnOnce(I) -> Result<T, E>,
    ) -> Option<T> {
        if value.is_none() {
            self.errors.push(FieldError::new(pointer, "is required"));
        }
        self.optional(pointer, value, parse)
    }

    /// Parses a field that may be left out.
    pub fn optional<I, T, E: Display>(
        &mut self,
        pointer: &str,
        value: Option<I>,
        parse: impl FnOnce(I) -> Result<T, E>,
    ) -> Option<T> {
        match parse(value?) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.errors.push(FieldError::new(pointer, error));
                None
            }
        }
    }

    /// Parses a list of modules, pointing into the list.
    pub fn modules(&mut self, pointer: &str, names: Option<Vec<String>>) -> Option<Modules> {
        let names: Vec<_> = names?
            .iter()
            .enumerate()
            .filter_map(|(index, name)| self.optional(&format!("{pointer}/{index}"), Some(name.as_str()), parse_module))
            .collect();
        self.optional(pointer, Some(names), Modules::try_from)
    }

    /// `value`, if every field was right.
    pub fn or<T>(self, value: T) -> Result<T, Vec<FieldError>> {
        if self.errors.is_empty() { Ok(value) } else { Err(self.errors) }
    }
}

fn parse_module(name: &str) -> Result<ModuleName, tenure_aggregates::values::ModuleError> {
    ModuleName::parse(name)
}

/// An organisation's name.
pub fn display_name(text: &str) -> Result<DisplayName, TextError> {
    DisplayName::parse(text)
}

/// An e-mail address.
pub fn email(text: &str) -> Result<EmailAddress, EmailError> {
    EmailAddress::parse(text)
}

/// Most users.
pub fn seat_limit(number: i64) -> Result<SeatLimit, LimitError> {
    SeatLimit::new(number)
}

/// Most resources.
pub fn resource_limit(number: i64) -> Result<ResourceLimit, LimitError> {
    ResourceLimit::new(number)
}
