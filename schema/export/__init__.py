"""Export endpoints: arguments, documents and row formats."""
