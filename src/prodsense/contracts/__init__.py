"""Contracts: what tables, events and declarations must look like."""
