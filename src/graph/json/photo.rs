//! JSON of the photo: Graph's `profilePhoto`.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::domain::photo::{Photo, Picture};

/// A photo to be written.
pub(crate) struct PhotoJson<'a> {
    /// The photo.
    pub photo: &'a Photo,
    /// `@odata.context`
    pub context: &'a str,
    /// Whether to write `@odata.*` members.
    pub annotated: bool,
}

impl Serialize for PhotoJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Picture { format, width, height } = self.photo.picture;
        let mut map = serializer.serialize_map(None)?;
        if self.annotated {
            map.serialize_entry("@odata.context", self.context)?;
            map.serialize_entry("@odata.mediaContentType", format.content_type())?;
            map.serialize_entry("@odata.mediaEtag", &self.photo.etag())?;
        }
        map.serialize_entry("id", &format!("{width}X{height}"))?;
        map.serialize_entry("width", &width)?;
        map.serialize_entry("height", &height)?;
        map.end()
    }
}
