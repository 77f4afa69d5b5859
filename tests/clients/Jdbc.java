import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;

/** What a tool on JDBC does, one line of output a step; conformance.py compares the lines. */
public final class Jdbc {
    public static void main(String[] arguments) throws SQLException {
        try (Connection connection = DriverManager.getConnection(arguments[0], arguments[1], arguments[2])) {
            metadata(connection.getMetaData());
            questions(connection);
        }
    }

    private static void metadata(DatabaseMetaData metadata) throws SQLException {
        System.out.println("product " + metadata.getDatabaseProductName());
        System.out.println("schemas " + count(metadata.getSchemas()));
        System.out.println("tables " + count(metadata.getTables(null, "dicom", "%", new String[] {"TABLE"})));
        try (ResultSet columns = metadata.getColumns(null, "dicom", "series", "Modality")) {
            while (columns.next()) {
                System.out.println("column " + columns.getString("TYPE_NAME") + " " + (columns.getString("REMARKS") != null));
            }
        }
        System.out.println("imported " + count(metadata.getImportedKeys(null, "omop", "condition_occurrence")));
        System.out.println("types " + (count(metadata.getTypeInfo()) > 10));
    }

    private static int count(ResultSet rows) throws SQLException {
        int count = 0;
        while (rows.next()) {
            count++;
        }
        rows.close();
        return count;
    }

    private static void questions(Connection connection) throws SQLException {
        String sql = "SELECT Modality, count(DISTINCT PatientID) AS patients FROM dicom.series WHERE PatientAge < ? "
            + "GROUP BY Modality ORDER BY patients DESC, Modality";
        // The sixth execution is a named statement with binary values.
        for (int i = 0; i < 7; i++) {
            try (PreparedStatement statement = connection.prepareStatement(sql)) {
                statement.setInt(1, 50);
                try (ResultSet rows = statement.executeQuery()) {
                    ResultSetMetaData shape = rows.getMetaData();
                    rows.next();
                    System.out.println("top " + rows.getString(1) + " " + rows.getLong("patients") + " " + shape.getColumnTypeName(2));
                }
            }
        }
        try (Statement statement = connection.createStatement()) {
            statement.executeQuery("SELECT * FROM dicom.series");
        } catch (SQLException refused) {
            System.out.println("refused " + refused.getSQLState());
        }
        connection.setAutoCommit(false);
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery("SELECT DATE '2020-01-02' AS day, 1.5 AS x, true AS yes")) {
            rows.next();
            System.out.println("values " + rows.getDate(1) + " " + rows.getDouble(2) + " " + rows.getBoolean(3));
        }
        connection.commit();
    }
}
