"""Where frames come from: implementations of ``ports.Source`` that are not peers."""
