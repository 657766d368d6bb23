#!/bin/bash -eu
# Builds the fuzz targets as OSS-Fuzz wants them: each a program in $OUT, with its corpus.
# It runs in the container of fuzz/Dockerfile, in the folder of the sources.
cd "$SRC/mfa"

go run ./fuzz | while read -r package target kind; do
	# A program cannot be imported by the one that is built around a target.
	[ "$kind" != main ] || { echo "left out: $package $target, of a program" >&2; continue; }
	name=$(echo "${package#./}" | tr / _)_$target
	compile_native_go_fuzzer "mfa/${package#./}" "$target" "$name"
	corpus=$package/testdata/fuzz/$target
	[ ! -f "fuzz/corpus/$name.zip" ] || cp "fuzz/corpus/$name.zip" "$OUT/${name}_seed_corpus.zip"
	[ ! -d "$corpus" ] || zip -q -j "$OUT/${name}_seed_corpus.zip" "$corpus"/*
done
