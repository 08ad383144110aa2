//! Which schema the rows of each collection have at one place in the log.

use alloc::collections::BTreeMap;

use super::{CollectionId, EvolutionError, Schema};
use crate::limits::MAX_SCHEMAS;

/// The schema that each collection has at one place in the log.
///
/// ```
/// use replication_log::entry::logical::{
///     CollectionId, Column, ColumnId, ColumnType, ReplicaIdentity, Schema, SchemaId, SchemaRegistry,
/// };
///
/// let name = Column::new(ColumnId(1), "name", ColumnType::Text);
/// let schema = Schema::new(SchemaId(7), 1, ReplicaIdentity::Full, vec![name])?;
/// let mut registry = SchemaRegistry::new();
/// assert_eq!(registry.declare(CollectionId(1), schema.clone()), Ok(true));
/// assert_eq!(registry.declare(CollectionId(1), schema), Ok(false), "said before");
/// # Ok::<(), replication_log::entry::logical::SchemaError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchemaRegistry {
    schemas: BTreeMap<CollectionId, Schema>,
}

impl SchemaRegistry {
    /// A registry without schemas.
    pub const fn new() -> Self {
        Self { schemas: BTreeMap::new() }
    }

    /// Takes note that rows of `collection` have this schema from here on, and says whether that is
    /// news. O(columns log columns).
    ///
    /// Saying the same again is fine, so that a stream may begin with the schemas it needs. After
    /// an error the registry is as it was.
    pub fn declare(&mut self, collection: CollectionId, schema: Schema) -> Result<bool, RegistryError> {
        match self.schemas.get(&collection) {
            Some(present) if *present == schema => return Ok(false),
            Some(present) => present.check_successor(&schema)?,
            None if self.schemas.len() >= MAX_SCHEMAS => {
                return Err(RegistryError::Full { limit: MAX_SCHEMAS });
            }
            None => {}
        }
        self.schemas.insert(collection, schema);
        Ok(true)
    }

    /// The schema of a collection's rows.
    pub fn get(&self, collection: CollectionId) -> Option<&Schema> {
        self.schemas.get(&collection)
    }

    /// All collections with their schemas, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (CollectionId, &Schema)> {
        self.schemas.iter().map(|(collection, schema)| (*collection, schema))
    }
}

/// Why a schema was not taken note of. The registry is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The schema cannot follow the one the collection has.
    #[error("the schema cannot follow the present one: {0}")]
    Evolution(#[from] EvolutionError),
    /// There are [`MAX_SCHEMAS`] collections already.
    #[error("there are schemas of {limit} collections already")]
    Full {
        /// The bound.
        limit: usize,
    },
}
