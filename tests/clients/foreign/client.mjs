// @lakehouse-rs/flight-sql-client in Node.js. Prints JSON.
import { createFlightSqlClient } from '@lakehouse-rs/flight-sql-client';
import { tableFromIPC } from 'apache-arrow';

const [host, port, username, password, sql] = process.argv.slice(2);
const options = { username, password, tls: false, host, port: Number(port), headers: [] };
const client = await createFlightSqlClient(options);

const rows = (buffer) => tableFromIPC(buffer).toArray().map((row) => Object.values(row.toJSON()));
const plain = (value) => (typeof value === 'bigint' ? Number(value) : value);

const grouped = rows(await client.query(sql)).map((row) => row.map(plain));
const tables = rows(await client.getTables({ dbSchemaFilterPattern: 'dicom', includeSchema: false }));
let refused = '';
try {
  await client.query('SELECT * FROM dicom.series');
} catch (error) {
  refused = String(error);
}
console.log(JSON.stringify({ grouped, tables: tables.map((row) => row[2]), refused }));
