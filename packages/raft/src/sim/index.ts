/**
 * The seeded simulator of `@quorate/raft`: runs a whole group of real consensus cores in one thread, in virtual time, with faults
 * of every kind, and judges each step; in its full mode with the real driver, storage and codec around them. One number, the seed, decides everything.
 *
 * @packageDocumentation
 */

export { MUTATIONS, type Mutation } from '../core/mutations.ts'
export { FlightRecordError } from '../driver/flight-record.ts'
export { DRIVER_BUGS, type DriverBug } from './full/bugs.ts'
export type { DiskNemesisStats } from './full/disk-nemesis.ts'
export { DISK_FAULT_FAMILIES, type Disaster, type DiskFaultFamily, type FullProfile } from './full/full-profile.ts'
export { type FullSimulationInit, type FullSimulationReport, simulateFull } from './full/simulate-full.ts'
export type { NemesisStats } from './nemesis.ts'
export type { NetworkStats } from './network.ts'
export { type ReplayOptions, type ReplayReport, replayFlightRecord } from './replay.ts'
export { type Shrunk, shrink, shrinkFull } from './shrink.ts'
export { simulate } from './simulate.ts'
export type { SimulationInit, SimulationReport, SimulationViolation } from './simulation.ts'
export { FAULT_FAMILIES, type FaultFamily, PACES, type Pace, type SwarmProfile } from './swarm.ts'
export type { WorkloadStats } from './workload.ts'
