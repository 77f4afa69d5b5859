# RPostgreSQL, as analysts in R use it. Prints lines of words.
library(RPostgreSQL)
given <- commandArgs(trailingOnly = TRUE)
connection <- dbConnect(PostgreSQL(), host = given[1], port = as.integer(given[2]), user = given[3],
                        password = given[4], dbname = "caim")
grouped <- dbGetQuery(connection, given[5])
cat("columns", names(grouped), "\n")
cat("types", sapply(grouped, class), "\n")
for (row in seq_len(nrow(grouped))) cat("row", grouped[row, 1], grouped[row, 2], "\n")
cat("exists", dbExistsTable(connection, c("dicom", "series")), "\n")
suppressWarnings(try(dbGetQuery(connection, "SELECT * FROM dicom.series"), silent = TRUE))
cat("refused", gsub("\n", " ", dbGetException(connection)$errorMsg), "\n")
cat("after", dbGetQuery(connection, "SELECT 1 AS one")$one, "\n")
invisible(dbDisconnect(connection))
