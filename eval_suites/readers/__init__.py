"""Readers: prediction files as the field writes them (json, jsonl, csv, gz, folders of masks, arrays) to entries."""
