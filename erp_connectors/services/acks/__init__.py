"""Read and apply the ERP's answers."""
