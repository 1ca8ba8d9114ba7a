"""Seeded dialogues through the service's own code: does a conversation feel right?"""
