"""Run directory -> one self-contained page: no external file, readable on a phone, in print, in the dark and by colour-blind people."""
