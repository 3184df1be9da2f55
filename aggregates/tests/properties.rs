//! What holds for every sequence of commands, and for every value.

mod administrator;
mod tenant;
mod values;
