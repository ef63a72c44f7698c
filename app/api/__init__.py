"""The JSON door (design section 9): routes as data, one way through the door for all of them, acts, and documents."""
