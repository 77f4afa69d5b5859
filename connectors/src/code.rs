//! Every reason why a source or a row of it does not come in, with a stable code and a cure.
//!
//! Each [`Code`] has a page in `docs/refusals`. `CAIM-I1..` stop an ingest before anything is committed,
//! `CAIM-I2..` leave out one row, `CAIM-I3..` are warnings about rows that came in.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $id:literal, $name:literal, $rule:literal, $fix:literal;)*) => {
        /// The codes. An identifier never changes its meaning and is never used again.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $id)] $variant,)*
        }

        impl Code {
            /// All codes, in the order of their identifiers.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            /// The stable identifier, for example `CAIM-I101`.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self { $(Code::$variant => $id,)* }
            }

            /// A short stable name, for example `not_found`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Code::$variant => $name,)* }
            }

            /// The rule, in one sentence.
            #[must_use]
            pub fn rule(self) -> &'static str {
                match self { $(Code::$variant => $rule,)* }
            }

            /// What usually helps.
            #[must_use]
            pub fn fix(self) -> &'static str {
                match self { $(Code::$variant => $fix,)* }
            }
        }
    };
}

codes! {
    /// The path leads nowhere.
    NotFound = "CAIM-I101", "not_found",
        "a source must exist",
        "check the path, and that its disk is mounted";
    /// The operating system refuses to read it.
    Unreadable = "CAIM-I102", "unreadable",
        "every file of a source must be readable",
        "give the user who runs Caim permission to read it, or check the disk";
    /// A device, a pipe or a socket.
    NotRegular = "CAIM-I103", "not_regular",
        "only regular files, folders and zips of them are read",
        "copy what it holds into a file and name that";
    /// A folder or zip without a file that could be read.
    NothingFound = "CAIM-I104", "nothing_found",
        "a source must hold at least one file that a connector reads",
        "check that the folder is mounted and complete; --allow-empty says that it is meant to be empty";
    /// A source that had rows has none now.
    WouldEmpty = "CAIM-I105", "would_empty",
        "a source without rows does not replace one with rows",
        "check that the source is complete; --allow-empty says that it is meant to be empty";
    /// No connector knows what it is.
    UnknownFormat = "CAIM-I106", "unknown_format",
        "a source is DICOM objects, FHIR in JSON, a table with a SeriesInstanceUID column, or files named as OMOP tables",
        "rename the files or columns, or say what the source is with --format";
    /// A zip that cannot be read.
    DamagedZip = "CAIM-I107", "damaged_zip",
        "a zip must be whole, without a password, stored or deflated",
        "copy or pack it again; `unzip -t` shows the fault";
    /// A zip that inflates beyond reason.
    ZipLimit = "CAIM-I108", "zip_limit",
        "a zip holds at most 100,000 files and inflates at most 200 times, or to 64 MiB",
        "unpack it and ingest the folder, if you trust it";
    /// A Parquet file that cannot be read.
    DamagedParquet = "CAIM-I109", "damaged_parquet",
        "a Parquet file must be whole and well formed",
        "write or copy the file again";
    /// A CSV file that is not text, or has no header.
    DamagedText = "CAIM-I110", "damaged_text",
        "a CSV file is text in UTF-8 or Latin-1 and begins with a line of column names",
        "write the file again as UTF-8 with a header line";
    /// A required column is not there.
    MissingColumn = "CAIM-I111", "missing_column",
        "key columns and the column that names the patient must be there",
        "add the column, or check the spelling in the header";
    /// One table in two files.
    TableTwice = "CAIM-I112", "table_twice",
        "a table is one file, or one folder named as the table with its parts",
        "leave one of the files, or put the parts into a folder named as the table";
    /// The source was written to while it was read.
    Changed = "CAIM-I113", "changed",
        "a source must not change while it is read",
        "wait until its writer is done, then run the command again";
    /// An option that does not fit the source.
    Option = "CAIM-I114", "option",
        "options must fit the source",
        "run the command again without the option, or with another value";
    /// The identity section or its linkage table cannot be used.
    Identity = "CAIM-I115", "identity",
        "the [identity] section and its linkage table must be complete and readable",
        "correct node.toml or the linkage table";
    /// The secret file cannot be used.
    Secret = "CAIM-I116", "secret",
        "the node's secret is a file of 64 hex digits that only its owner can read",
        "restore the secret file from a backup and set its mode to 0600";
    /// The warehouse said no.
    Warehouse = "CAIM-I117", "warehouse",
        "the warehouse must be whole, writable, and free of other writers",
        "see the reason; the last epoch still answers";
    /// The data model has no such table.
    Model = "CAIM-I118", "model",
        "the data models of the node must have the tables that a connector fills",
        "use the bundled data models, or ones that extend them";
    /// The derived tables cannot be made.
    Build = "CAIM-I119", "build",
        "derived tables are made by the mappings of this program from the landing tables of the warehouse",
        "see the reason; the last epoch still answers";
    /// A gzip file that cannot be read.
    DamagedGzip = "CAIM-I130", "damaged_gzip",
        "a gzip file must be whole",
        "compress or copy it again; `gzip -t` shows the fault";
    /// A gzip file that inflates beyond reason.
    GzipLimit = "CAIM-I131", "gzip_limit",
        "a gzip file inflates at most 200 times, or to 64 MiB",
        "unpack it and ingest the plain file, if you trust it";
    /// A tar archive that cannot be read.
    DamagedTar = "CAIM-I132", "damaged_tar",
        "a tar archive must be whole, and holds at most 1,000,000 files",
        "copy or pack it again; `tar -t` shows the fault";
    /// A bucket that cannot be read.
    Bucket = "CAIM-I133", "bucket",
        "a bucket must be there and readable, and holds at most 1,000,000 objects below the prefix",
        "check AWS_ENDPOINT_URL, AWS_REGION and the credentials in the environment, or name a longer prefix";
    /// A web server that cannot be read.
    Web = "CAIM-I134", "web",
        "a web server must be encrypted or on this machine, answer in time, and let the token read what it is asked for",
        "check the address and --token-file, and try again later if the server is busy";
    /// A database that cannot be reached or read.
    Database = "CAIM-I140", "database",
        "a database must be on this machine or lead to it, and let its user read all tables of the CDM",
        "check the address, the password (PGPASSWORD or ~/.pgpass) and the rights: `psql` with the same address shows more";
    /// A column of a database in a type that the model cannot hold.
    ColumnType = "CAIM-I141", "column_type",
        "columns of a database are numbers, texts, booleans, dates or timestamps",
        "give the column its type of the CDM, or let a view of that name cast it";
    /// A mapping file that does not fit the model, or a file without one.
    TableMapping = "CAIM-I142", "table_mapping",
        "a mapping file is TOML that names columns of its files and of the common data model, and concepts below those of the column",
        "correct the place that is named; docs/node-operators.md has a whole example";
    /// A listener that cannot listen.
    Listener = "CAIM-I143", "listener",
        "a DICOM listener has a free address of this machine alone and an AE title of at most 16 characters",
        "choose another port or AE title; --unencrypted lets it listen beyond this machine, where the network is trusted";
    /// The spool of a listener cannot be used.
    Spool = "CAIM-I144", "spool",
        "the spool of a listener is a folder of one listener, readable to its owner alone, with room on its disk",
        "end the other listener, or see to the disk and the rights of the folder; what is in it comes in with the next start";

    /// The table of rejects cannot be written.
    Rejects = "CAIM-I145", "rejects",
        "the folder of rejects must be writable and have room",
        "name another folder with --rejects, or make room; nothing was committed";
    /// A file of a view that is no view.
    ViewDefinition = "CAIM-I150", "view_definition",
        "a file of DIR/views is a ViewDefinition of SQL on FHIR v2 that gives rows of one type of resource, with their key",
        "correct the place that is named; docs/fhir.md has a whole example";
    /// A view whose name, or that of a column, is taken.
    ViewName = "CAIM-I151", "view_name",
        "a view of the operator has a name of its own, and no column that every table has",
        "give the view or the column another name";
    /// A view that reads what names a person, or a column that cannot be stored.
    ViewPersonal = "CAIM-I152", "view_personal",
        "a view reads no names, addresses, notes, narratives and attachments, and its columns hold one value each",
        "take the column out of the view, or let it read an element that names nobody";
    /// Changes of something that was not taken in as a whole.
    Since = "CAIM-I153", "since",
        "changes are asked for where the whole of the same address and collection was taken in, by the same rules",
        "ingest the address without --since: that takes in all of it, and mends what changes alone leave out";

    /// A row with too few or too many fields.
    FieldCount = "CAIM-I201", "field_count",
        "a row has as many fields as the header has columns",
        "correct the line: a delimiter is missing, or a field that holds one is not quoted";
    /// A quote that is never closed.
    UnclosedQuote = "CAIM-I202", "unclosed_quote",
        "a quoted field ends with a quote",
        "close the quote, or double quotes that are part of a text";
    /// A row beyond any reason.
    RowTooLong = "CAIM-I203", "row_too_long",
        "a row has at most 16 MiB",
        "look for a quote that is not closed on that line";
    /// A key that is empty or cannot be read.
    BadKey = "CAIM-I204", "bad_key",
        "key columns have a value of their type in every row",
        "correct or remove the row";
    /// A row with a key that is there with other values.
    Conflict = "CAIM-I205", "conflict",
        "one key has one row; the first one stays, if --duplicates says no other rule",
        "find out which row is right and remove the other from its source, or say which one stays with --duplicates";
    /// A file that calls itself a DICOM object and is none.
    NotDicom = "CAIM-I221", "not_dicom",
        "a file that is named as a DICOM object is one",
        "copy the file again from its archive, or take it out of the folder";
    /// An object whose header is cut off or contradicts itself.
    DamagedObject = "CAIM-I222", "damaged_object",
        "the header of a DICOM object is whole: no element is longer than what is left of the file",
        "copy the object again from its archive; `dcmdump` or `pydicom` show where it breaks";
    /// An object whose header is beyond any reason.
    ObjectLimit = "CAIM-I223", "object_limit",
        "sequences are nested at most 64 deep, a deflated header inflates to at most 64 MiB, and an object gives at most 4,096 annotations",
        "find out who wrote the object; no image needs as much";
    /// An object in an encoding that is not in the standard.
    TransferSyntax = "CAIM-I224", "transfer_syntax",
        "an object is encoded in a transfer syntax of PS3.5",
        "let the archive export it in a standard transfer syntax";
    /// An object without its identifier.
    NoInstanceUid = "CAIM-I225", "no_instance_uid",
        "an object has a SOPInstanceUID of digits and dots, at most 64 characters",
        "correct the object in its archive: without the identifier it cannot be told from others";
    /// A text that is not JSON, or ambiguous.
    BadJson = "CAIM-I230", "bad_json",
        "a resource is JSON in UTF-8 that names no member twice",
        "export the resource again: it was cut, or its writer is at fault";
    /// JSON nested beyond any resource.
    NestingLimit = "CAIM-I231", "nesting_limit",
        "JSON is nested at most 128 deep",
        "look for what wrote it: no FHIR resource is nested so deeply";
    /// A line or document beyond any reason.
    LineLimit = "CAIM-I232", "line_limit",
        "a line has at most 16 MiB and a document 128 MiB",
        "export as NDJSON, one resource a line, without attachments";
    /// JSON that is no resource.
    NotFhir = "CAIM-I233", "not_fhir",
        "JSON that is ingested as FHIR is a resource with a resourceType, a Bundle, or an array of them",
        "leave other JSON out of the folder, or say what the source is with --format";
    /// A resource that a view cannot take.
    ViewMismatch = "CAIM-I234", "view_mismatch",
        "a resource has at most one value where its table has one",
        "correct the resource: it is not valid FHIR R4 at the place that is named";
    /// A resource of an export of changes whose patient nobody told.
    UnknownPatient = "CAIM-I235", "unknown_patient",
        "a resource of an export of changes is about a patient whom it or an earlier export tells",
        "ingest the address without --since";

    /// Values that could not be read became NULL.
    UnreadableValue = "CAIM-I301", "unreadable_value",
        "a value that its column's type cannot hold is read as NULL",
        "correct the values in the source, if they matter";
    /// Rows without a patient.
    NoPatient = "CAIM-I302", "no_patient",
        "a row without a patient is kept, and counted in no patient measure",
        "add the missing PatientID in the source";
    /// Rows whose person is not in PERSON.
    Orphan = "CAIM-I303", "orphan",
        "a record whose person is not in the source belongs to a patient of its own",
        "add the persons to the source: to the PERSON table, or as Patient resources";
    /// Rows with more, but empty, fields than columns.
    SurplusFields = "CAIM-I304", "surplus_fields",
        "empty fields beyond the last column are dropped",
        "add the missing column names to the header, or remove the delimiters";
    /// Text that is not UTF-8.
    Encoding = "CAIM-I305", "encoding",
        "text that is not UTF-8 is read as Latin-1 (Windows-1252)",
        "write the file in UTF-8";
    /// One study under several patients.
    SharedStudy = "CAIM-I306", "shared_study",
        "a study that occurs under two patients is one study of each",
        "correct the PatientID of these series, or link the identifiers in the linkage table";
    /// Rows that are there already.
    Duplicate = "CAIM-I307", "duplicate",
        "a row that is there already, with the same values, is left out",
        "nothing to do";
    /// Several persons with one source value.
    SharedPerson = "CAIM-I308", "shared_person",
        "persons with the same person_source_value are one patient",
        "set omop_column = \"person_id\" in [identity] if the values do not name patients";
    /// Rows without a collection.
    NoCollection = "CAIM-I309", "no_collection",
        "a row whose collection column is empty belongs to no collection",
        "fill the column, or name one collection with --collection";
    /// Rows of patients who were forgotten.
    Forgotten = "CAIM-I310", "forgotten",
        "rows of a patient whom the operator had the node forget do not come in again",
        "nothing to do; remove the patient from the source as well, if it must hold nothing of them";
    /// Values that a mapping file gives no meaning.
    UnmappedValue = "CAIM-I311", "unmapped_value",
        "a value that its mapping file gives no meaning is kept beside an empty code",
        "add the value to `values` in the mapping file, then ingest again";
    /// Files that are no DICOM objects.
    ForeignFile = "CAIM-I321", "foreign_file",
        "a file among DICOM objects that is none is left out",
        "nothing to do, if the file is not meant";
    /// DICOMDIRs.
    Directory = "CAIM-I322", "directory",
        "a DICOMDIR is left out: the objects that it names are read themselves",
        "nothing to do";
    /// Several values where one is stored.
    SeveralValues = "CAIM-I323", "several_values",
        "of several different numbers or dates of one attribute, the first is stored",
        "nothing to do, if the first is the one that matters";
    /// Values of one object that differ between its frames.
    FramesDiffer = "CAIM-I324", "frames_differ",
        "a value of a multi-frame object is stored if all its frames agree on it",
        "nothing to do; ask for the columns in which the frames agree";
    /// Resources that no view takes.
    NoView = "CAIM-I330", "no_view",
        "resources of a type without a table are left out",
        "nothing to do, unless the type matters: then put a view of your own into DIR/views";
    /// Dates of which only month or year is known.
    PartialDate = "CAIM-I331", "partial_date",
        "a date without a day is the first day of its month or year",
        "nothing to do; complete the dates in the source, if they matter";
    /// Patient numbers of several systems.
    SeveralSystems = "CAIM-I332", "several_systems",
        "patient identifiers of a system that is no alias belong to the default issuer",
        "name the other systems in issuer_aliases, or the right one as fhir_system in [identity]";
    /// Files that are not read.
    NotRead = "CAIM-I345", "not_read",
        "a file of a source that its connector does not read is left out",
        "nothing to do, unless it is meant: rename it, or ingest it by itself";
    /// Records with one key and different content, of which a rule chose one.
    Contested = "CAIM-I346", "contested",
        "of two records with one key and different content, the one that --duplicates prefers stays",
        "nothing to do, if the rule is meant; the source whose record gave way still holds it";
    /// Rows of earlier versions of resources.
    Superseded = "CAIM-I350", "superseded",
        "the rows of a resource that an export of changes tells anew, or says to be gone, leave",
        "nothing to do";
    /// Patients with another identifier than before.
    MovedPatient = "CAIM-I351", "moved_patient",
        "a patient whose identifier has changed is somebody else in what comes in from then on",
        "ingest the address without --since, so that all their records move";
}

impl Code {
    /// The code of an identifier.
    #[must_use]
    pub fn of(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.id() == id)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_in_order_and_none_is_used_twice() {
        assert!(Code::ALL.windows(2).all(|pair| pair[0].id() < pair[1].id()));
    }

    #[test]
    fn a_code_is_found_by_its_identifier() {
        assert_eq!(Code::of("CAIM-I205"), Some(Code::Conflict));
        assert_eq!(Code::of("CAIM-P101"), None);
    }

    #[test]
    fn every_code_has_a_name_a_rule_and_a_fix() {
        for code in Code::ALL {
            assert!(!code.name().is_empty() && code.rule().len() > 10 && code.fix().len() > 5, "{code}");
        }
    }
}
