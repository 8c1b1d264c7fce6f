"""From records to paper: text and formulas, tables, figures, the document. Nothing here computes or decides."""
