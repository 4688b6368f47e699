#!/usr/bin/env -S node --conditions=quorate-source
import '../service/src/bin.ts'
