//! Pages as a mini-transaction sees and changes them, above the table's own.

use alloc::{collections::BTreeMap, vec, vec::Vec};

use super::{
    directory::Directory,
    error::{PageDamage, TableError},
    format::{PageFormat, PageId},
    layout::{self, PageKind},
    store::{Source, Store, damaged},
};
use crate::storage::StorageFile;

/// Copies of the pages that were touched; the table's own stay as they are.
pub(crate) struct Overlay<'t, F> {
    pub(crate) store: &'t mut Store<F>,
    pub(crate) pages: BTreeMap<PageId, Touched>,
}

/// A copy of a page, changed or about to be.
pub(crate) struct Touched {
    pub(crate) bytes: Vec<u8>,
    /// Whether the page did not exist before.
    pub(crate) is_new: bool,
}

impl<'t, F: StorageFile> Overlay<'t, F> {
    pub(crate) fn new(store: &'t mut Store<F>) -> Self {
        Self { store, pages: BTreeMap::new() }
    }

    /// A page of one kind, to be changed.
    pub(crate) fn page_mut(&mut self, id: PageId, kind: PageKind) -> Result<&mut [u8], TableError> {
        self.page_of(id, kind)?;
        self.copy_of(id)
    }

    fn copy_of(&mut self, id: PageId) -> Result<&mut [u8], TableError> {
        if !self.pages.contains_key(&id) {
            let bytes = self.store.page(id)?.to_vec();
            self.pages.insert(id, Touched { bytes, is_new: false });
        }
        let touched = self.pages.get_mut(&id).ok_or_else(|| damaged(id, PageDamage::Missing))?;
        Ok(&mut touched.bytes)
    }

    pub(crate) fn directory(&mut self) -> Result<Directory, TableError> {
        Ok(Directory::read(self.page_of(PageId::DIRECTORY, PageKind::Directory)?))
    }

    pub(crate) fn set_directory(&mut self, directory: &Directory) -> Result<(), TableError> {
        // A reference taken from a page may lead anywhere.
        if !directory.is_sound() {
            return Err(damaged(PageId::DIRECTORY, PageDamage::Content));
        }
        directory.write(self.page_mut(PageId::DIRECTORY, PageKind::Directory)?);
        Ok(())
    }

    /// A page of this kind without content: the one freed last, or a new one at the end of the file.
    pub(crate) fn allocate(&mut self, kind: PageKind, level: u8) -> Result<PageId, TableError> {
        let mut directory = self.directory()?;
        let id = if let Some(id) = directory.free {
            directory.free = layout::link(self.page_of(id, PageKind::Free)?);
            id
        } else {
            let id = PageId::new(directory.pages);
            directory.pages = directory.pages.checked_add(1).ok_or(TableError::Full)?;
            let bytes = vec![0; self.format().page_bytes()];
            self.pages.insert(id, Touched { bytes, is_new: true });
            id
        };
        layout::format(self.copy_of_any(id)?, id, kind, level);
        self.set_directory(&directory)?;
        Ok(id)
    }

    /// Puts a page on top of the free list. It keeps its bytes, apart from the header.
    pub(crate) fn free(&mut self, id: PageId) -> Result<(), TableError> {
        let mut directory = self.directory()?;
        let page = self.copy_of_any(id)?;
        layout::format(page, id, PageKind::Free, 0);
        layout::set_link(page, directory.free);
        directory.free = Some(id);
        self.set_directory(&directory)
    }

    /// A page to be given another use.
    fn copy_of_any(&mut self, id: PageId) -> Result<&mut [u8], TableError> {
        if id == PageId::DIRECTORY {
            return Err(damaged(id, PageDamage::Kind));
        }
        self.copy_of(id)
    }
}

impl<F: StorageFile> Source for Overlay<'_, F> {
    fn format(&self) -> PageFormat {
        self.store.format()
    }

    fn page(&mut self, id: PageId) -> Result<&[u8], TableError> {
        match self.pages.get(&id) {
            Some(touched) => Ok(&touched.bytes),
            None => self.store.page(id),
        }
    }
}
