"""Reading records of proteins: tables of text, workbooks and FASTA files."""
