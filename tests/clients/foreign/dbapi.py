"""flightsql-dbapi and its SQLAlchemy dialect, in the environment of their own that they need. Prints JSON."""

import json
import sys

import sqlalchemy
from flightsql import FlightSQLClient, connect

host, port, user, password, sql = sys.argv[1:]
client = FlightSQLClient(host=host, port=int(port), insecure=True, user=user, password=password)
connection = connect(client)
cursor = connection.cursor()
cursor.execute(sql)
found = {"grouped": [list(row) for row in cursor.fetchall()], "columns": [column[0] for column in cursor.description]}
cursor.execute("SELECT count(DISTINCT PatientID) AS n FROM dicom.series WHERE Modality = ?", ("CT",))
found["bound"] = cursor.fetchall()[0][0]
try:
    cursor.execute("SELECT * FROM dicom.series")
    found["refused"] = ""
except Exception as error:  # noqa: BLE001 - the package raises what pyarrow gives it
    found["refused"] = str(error)
url = f"datafusion://{user}:{password}@{host}:{port}?insecure=True"
engine = sqlalchemy.create_engine(url)
inspector = sqlalchemy.inspect(engine)
found["schemas"] = inspector.get_schema_names()
found["tables"] = inspector.get_table_names(schema="dicom")
found["types"] = {c["name"]: str(c["type"]) for c in inspector.get_columns("study", schema="dicom")}
with engine.connect() as session:
    found["over_sqlalchemy"] = [list(row) for row in session.execute(sqlalchemy.text(sql))]
print(json.dumps(found, default=str))
