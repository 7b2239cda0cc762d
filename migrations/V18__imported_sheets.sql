-- Sheets whose differences of stock were imported, by the digest of these: they are refused a second time.
CREATE TABLE imported_sheets (
    digest {bytes} NOT NULL PRIMARY KEY,
    imported_at {int} NOT NULL
) {clustered};
