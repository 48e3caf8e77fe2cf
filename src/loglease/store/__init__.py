"""The database: schema, migrations, one writer, repositories. Nothing outside knows which database it is."""
