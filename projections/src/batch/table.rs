//! Tables and cells, as view code names them.

/// One value of a row. Times are microseconds since 1970, JSON is text, ids are hyphenated lower-case text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Cell {
    Null,
    Integer(i64),
    Text(String),
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer,
    Text,
}

/// One column of a view's table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub name: &'static str,
    pub kind: Kind,
    pub nullable: bool,
}

/// A column of text that every row has.
pub(crate) const fn text(name: &'static str) -> Column {
    Column { name, kind: Kind::Text, nullable: false }
}

/// A column of text that may be absent.
pub(crate) const fn nullable_text(name: &'static str) -> Column {
    Column { name, kind: Kind::Text, nullable: true }
}

/// A column of integers that every row has.
pub(crate) const fn integer(name: &'static str) -> Column {
    Column { name, kind: Kind::Integer, nullable: false }
}

/// A column of integers that may be absent.
pub(crate) const fn nullable_integer(name: &'static str) -> Column {
    Column { name, kind: Kind::Integer, nullable: true }
}

/// How a projector writes a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    /// Reads rows by key, changes them, puts them back whole; they are worth caching.
    Replace,
    /// Puts whole rows that it never reads again.
    Blind,
    /// Adds to the columns that are not the key, without reading.
    Add,
}

/// A table of a view, without its generation's suffix.
#[derive(Debug)]
pub(crate) struct Table {
    pub name: &'static str,
    /// The key's columns first.
    pub columns: &'static [Column],
    /// How many leading columns are the primary key.
    pub key: usize,
    /// Column lists of further indexes.
    pub indexes: &'static [&'static str],
    pub write: Write,
}

impl Table {
    /// The table's name in one generation.
    pub fn in_generation(&self, generation: u32) -> String {
        format!("{}_v{generation}", self.name)
    }

    /// The columns of the primary key.
    pub fn key_columns(&self) -> &'static [Column] {
        &self.columns[..self.key]
    }

    /// The columns that are not the primary key.
    pub fn value_columns(&self) -> &'static [Column] {
        &self.columns[self.key..]
    }

    /// All column names with commas between.
    pub fn column_list(&self) -> String {
        self.columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
    }

    /// The key's column names with commas between.
    pub fn key_list(&self) -> String {
        self.key_columns().iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
    }
}

/// What a batch changes in one table: no key stands in two lists, or twice in one.
#[derive(Debug)]
pub(crate) struct Change {
    pub table: &'static Table,
    pub generation: u32,
    /// Whole rows that the table can't hold yet.
    pub insert: Vec<Vec<Cell>>,
    /// Whole rows to put (or to add, if the table is [`Write::Add`]).
    pub put: Vec<Vec<Cell>>,
    /// Keys to delete.
    pub delete: Vec<Vec<Cell>>,
}

impl Change {
    pub const fn nothing(table: &'static Table, generation: u32) -> Self {
        Self { table, generation, insert: Vec::new(), put: Vec::new(), delete: Vec::new() }
    }

    pub const fn is_empty(&self) -> bool {
        self.insert.is_empty() && self.put.is_empty() && self.delete.is_empty()
    }
}

/// A checkpoint on its way from the position where it is known to be to a later one.
#[derive(Debug)]
pub(crate) struct Move {
    pub checkpoint: String,
    pub from: u64,
    pub to: u64,
}
