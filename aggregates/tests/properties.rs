//! What holds for every sequence of commands, and for every value.

mod access_token;
mod administrator;
mod tenant;
mod values;
