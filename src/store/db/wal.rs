//! Checks whether the write-ahead log (`-wal`) beside a SQLite file belongs to that file.
//!
//! A log does not name its file. So each start of a server writes a new number (the run, in SQLite's `user_version`) to the
//! file while it has no log. The number is then in each image of the first page in the log, and in the `.lock` file. A copy
//! of the closed file has an older number, and a copy by `contactd backup` has a header that says it never had a log.

use std::fs::File;
use std::io::{Error as IoError, ErrorKind, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use crate::store::db::files::with_suffix;
use crate::store::db::lock;

/// Magic number of SQLite files.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Length of the header of a log, and of the header of a page in it.
const LOG_HEADER_LENGTH: usize = 32;
const FRAME_HEADER_LENGTH: usize = 24;
/// Maximum number of pages of a log that are searched for the first page of the file.
const MAX_FRAMES: u64 = 100_000;
/// Number of checks before a log counts as foreign: a server that is starting changes all that is compared.
const ATTEMPTS: u32 = 3;

/// The header of a SQLite file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Header {
    page_size: u32,
    /// Whether it uses WAL. A file without WAL has never been served; for instance a copy by `backup`.
    pub(in crate::store) has_log: bool,
    /// The run in which it was last served; 0 before the first.
    pub(in crate::store) run: u32,
}

impl Header {
    /// # Errors
    /// Those of the system, and [`ErrorKind::InvalidData`] if it is not a SQLite file.
    pub(in crate::store) fn read(file: &File) -> Result<Self, IoError> {
        let mut bytes = [0; 100];
        file.read_exact_at(&mut bytes, 0).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => IoError::from(ErrorKind::InvalidData),
            _ => error,
        })?;
        Self::of(&bytes).ok_or_else(|| IoError::from(ErrorKind::InvalidData))
    }

    fn of(bytes: &[u8; 100]) -> Option<Self> {
        // The last number is the version of SQLite that wrote the page; a partly written page lacks it.
        if !bytes.starts_with(MAGIC) || number(bytes, 96)? == 0 {
            return None;
        }
        let page_size = match u16::from_be_bytes([bytes[16], bytes[17]]) {
            1 => 65_536,
            size => u32::from(size),
        };
        Some(Self { page_size, has_log: bytes[18] == 2 && bytes[19] == 2, run: number(bytes, 60)? })
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// A log that is not empty.
struct WriteAheadLog {
    page_size: u32,
    /// The run in the first page of the file, if the log has that page.
    run: Option<u32>,
}

impl WriteAheadLog {
    /// Reads a log; `None` if SQLite would read nothing from it.
    fn read(path: &Path) -> Result<Option<Self>, IoError> {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let length = file.seek(SeekFrom::End(0))?;
        let mut head = [0; LOG_HEADER_LENGTH];
        if length <= LOG_HEADER_LENGTH as u64 || file.read_exact_at(&mut head, 0).is_err() {
            return Ok(None);
        }
        let (Some(0x377f_0682 | 0x377f_0683), Some(page_size)) = (number(&head, 0), number(&head, 8)) else {
            return Ok(None);
        };
        // SQLite compares these two numbers to tell the pages of this log from those that it overwrites.
        let salt = &head[16..24];
        let size = FRAME_HEADER_LENGTH as u64 + u64::from(page_size);
        let mut frame = [0; FRAME_HEADER_LENGTH];
        for at in 0..MAX_FRAMES {
            let offset = LOG_HEADER_LENGTH as u64 + at * size;
            if offset + size > length || file.read_exact_at(&mut frame, offset).is_err() || &frame[8..16] != salt {
                return Ok((at > 0).then_some(Self { page_size, run: None }));
            }
            let mut page = [0; 100];
            if number(&frame, 0) == Some(1)
                && file.read_exact_at(&mut page, offset + FRAME_HEADER_LENGTH as u64).is_ok()
                && let Some(header) = Header::of(&page)
            {
                return Ok(Some(Self { page_size, run: Some(header.run) }));
            }
        }
        Ok(Some(Self { page_size, run: None }))
    }
}

/// Fails unless the log beside a file belongs to it, or there is none.
///
/// # Errors
/// One line that says what to do.
pub(in crate::store) fn check_belongs(path: &Path, file: &File) -> Result<(), String> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        match why_foreign(path, file).map_err(|error| error.to_string())? {
            None => return Ok(()),
            Some(_) if attempts < ATTEMPTS => std::thread::sleep(Duration::from_millis(50)),
            Some(why) => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                return Err(format!(
                    "the {name}-wal beside it belongs to another database ({why}) and would damage this one: use contactd \
                     restore to put a copy in place, or move {name}-wal and {name}-shm away; nothing was changed"
                ));
            }
        }
    }
}

fn why_foreign(path: &Path, file: &File) -> Result<Option<&'static str>, IoError> {
    let Some(log) = WriteAheadLog::read(&with_suffix(path, "-wal"))? else { return Ok(None) };
    let runs = lock::runs(path);
    let header = match Header::read(file) {
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            return Ok(Some("the file is empty or is not a database"));
        }
        header => header?,
    };
    Ok(if !header.has_log {
        Some("the file is a copy that was never served")
    } else if header.page_size != log.page_size {
        Some("its page size differs")
    } else if let Some(run) = log.run {
        (run != header.run).then_some("it is from another run of the server")
    } else if !runs.is_empty() && !runs.contains(&header.run) {
        Some("the file is not the one that was last served")
    } else {
        None
    })
}
