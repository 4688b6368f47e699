#!/usr/bin/env -S node --conditions=quorate-source
import '../ctl/src/bin.ts'
