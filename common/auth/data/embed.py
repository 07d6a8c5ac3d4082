"""embed.py LIST.gz OUT.c - the list of common passwords as one C array of sorted lines."""

import gzip
import sys

with gzip.open(sys.argv[1]) as file:
    lines = file.read()
passwords = lines.removesuffix(b"\n").split(b"\n")
if passwords != sorted(set(passwords)):
    sys.exit(f"{sys.argv[1]}: not sorted by bytes, or not without duplicates")
with open(sys.argv[2], "w") as out:
    out.write("#include <stddef.h>\n\nextern const char common_passwords[];\nextern const size_t common_passwords_size;\n")
    out.write(f"const size_t common_passwords_size = {len(lines)};\nconst char common_passwords[] = {{\n")
    for at in range(0, len(lines), 24):
        out.write("".join(f"{byte if byte < 128 else byte - 256}," for byte in lines[at:at + 24]) + "\n")
    out.write("};\n")
