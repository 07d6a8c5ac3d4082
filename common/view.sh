#!/bin/sh
# view.sh COMMON VIEWS NAME BELOW… - makes VIEWS/NAME, a folder with links to the folders of COMMON that NAME
# may include: itself and those below it.
set -eu
common=$1 views=$2 name=$3
shift 3
rm -rf "$views/$name"
mkdir -p "$views/$name"
for folder in "$name" "$@"; do
	ln -s "$common/$folder" "$views/$name/$folder"
done
