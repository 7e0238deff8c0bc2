#!/usr/bin/env python3
"""Compares src/io/onnx/onnx_schema.proto with the schema of PyPI's onnx.

    schema_test.py SCHEMA.proto PROTOC

Every message, field and enumeration value of ours must exist there with the same number, type, label and packing.
"""
import os
import subprocess
import sys
import tempfile

import onnx
from google.protobuf import descriptor_pb2


def our_file(schema, protoc):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "set.pb")
        subprocess.run([protoc, f"--proto_path={os.path.dirname(schema)}", f"--descriptor_set_out={out}", schema], check=True)
        files = descriptor_pb2.FileDescriptorSet()
        with open(out, "rb") as f:
            files.ParseFromString(f.read())
    return files.file[0]


def bare(type_name):
    """.nibble.onnx.TensorProto.Segment and .onnx.TensorProto.Segment are the same message."""
    return type_name.removeprefix(".nibble.onnx.").removeprefix(".onnx.")


def compare(ours, theirs, path, errors, count):
    fields = {f.name: f for f in theirs.field}
    for f in ours.field:
        count[0] += 1
        other = fields.get(f.name)
        if other is None:
            errors.append(f"{path}.{f.name} does not exist")
            continue
        for what in ("number", "type", "label"):
            if getattr(f, what) != getattr(other, what):
                errors.append(f"{path}.{f.name}: {what} {getattr(f, what)}, onnx has {getattr(other, what)}")
        if bare(f.type_name) != bare(other.type_name):
            errors.append(f"{path}.{f.name}: type {f.type_name}, onnx has {other.type_name}")
        if f.options.packed != other.options.packed:
            errors.append(f"{path}.{f.name}: packed differs")
        if f.HasField("oneof_index") != other.HasField("oneof_index"):
            errors.append(f"{path}.{f.name}: oneof differs")
    inner = {m.name: m for m in theirs.nested_type}
    for m in ours.nested_type:
        if m.name in inner:
            compare(m, inner[m.name], f"{path}.{m.name}", errors, count)
        else:
            errors.append(f"{path}.{m.name} does not exist")
    enums = {e.name: {v.name: v.number for v in e.value} for e in theirs.enum_type}
    for e in ours.enum_type:
        for v in e.value:
            count[0] += 1
            if enums.get(e.name, {}).get(v.name) != v.number:
                errors.append(f"{path}.{e.name}.{v.name}: {v.number}, onnx has {enums.get(e.name, {}).get(v.name)}")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    ours = our_file(os.path.abspath(sys.argv[1]), sys.argv[2])
    theirs = descriptor_pb2.FileDescriptorProto()
    onnx.TensorProto.DESCRIPTOR.file.CopyToProto(theirs)
    messages = {m.name: m for m in theirs.message_type}
    errors, count = [], [0]
    for m in ours.message_type:
        if m.name in messages:
            compare(m, messages[m.name], m.name, errors, count)
        else:
            errors.append(f"{m.name} does not exist")
    if count[0] < 80:
        errors.append(f"only {count[0]} fields were compared")
    print("\n".join(errors) or f"{count[0]} fields and values are the same")
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()
