"""Pictures that people upload: read, analysed, drawn on and written, in a process of their own."""
