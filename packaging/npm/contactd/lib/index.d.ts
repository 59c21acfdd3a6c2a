export interface Fault {
  match?: { user?: string; method?: string; path?: string; route?: string; header?: Record<string, string> }
  after?: number
  times?: number | null
  expires?: string
  when?: 'before' | 'after'
  answer?: FaultAnswer
  answers?: FaultAnswer[]
  delay?: string
  connection?: 'reset' | 'close' | 'stall' | { truncate: { bytes: number } }
  throttle?: { requests: number; per: string }
  deltaToken?: 'expired'
}
export interface FaultAnswer {
  status: number
  code?: string
  message?: string
  retryAfter?: number | string
  headers?: Record<string, string>
}
export interface JournalEntry {
  number: number
  time: string
  durationMicros: number
  method: string
  url: string
  path: string
  route: string
  user: string | null
  token: string | null
  headers: Record<string, string>
  body: unknown
  status: number
  answerHeaders: Record<string, string>
  answer: unknown
  fault: string | null
  batch: { number: number; id: string } | null
}
export interface InboxAnswers {
  answer?: { status: number }
  answers?: { status: number }[]
  delay?: string
  confirms?: boolean
}
export interface Post {
  number: number
  time: string
  url: string
  body: any
  status: number
}
export function find(): string
export function start(options?: {
  flags?: string[]
  env?: Record<string, string>
  tls?: boolean
  certDir?: string
}): Promise<Server>
export function userName(testName: string): string
export class Server {
  constructor(url: string, options?: { certDir?: string })
  readonly url: string
  readonly baseUrl: string
  readonly certDir?: string
  readonly authority?: string
  user(name: string): User
  control(method: string, path: string, body?: unknown): Promise<any>
  reset(options?: { users?: string[]; to?: string }): Promise<void>
  seed(document: { users?: unknown[]; shares?: unknown[] }): Promise<SeededUser[]>
  freeze(now: string, tick?: string): Promise<any>
  advance(by: string): Promise<any>
  settle(): Promise<void>
  inbox(name: string, options?: InboxAnswers): Promise<Inbox>
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}
export class Inbox {
  readonly server: Server
  readonly name: string
  readonly url: string
  posts(): Promise<Post[]>
  answers(options: InboxAnswers): Promise<void>
  clear(): Promise<void>
}
export interface SeededUser {
  id: string
  folders: { id: string; contacts: string[] }[]
  contacts: string[]
  categories: string[]
}
export class User {
  constructor(server: Server, name: string)
  readonly server: Server
  readonly name: string
  readonly token: string
  readonly url: string
  readonly baseUrl: string
  readonly headers: Record<string, string>
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>
  fault(fault: Fault): Promise<Fault & { id: string; hits: number; remaining: number | null }>
  clearFaults(): Promise<void>
  requests(filters?: Record<string, string>): Promise<JournalEntry[]>
  seed(count: number, options?: { seed?: number; locale?: string; photos?: number; duplicates?: boolean }): Promise<string[]>
  copyOf(template: string, options?: { replace?: boolean }): Promise<{ user: string; contacts: number; folders: number }>
  golden(): Promise<string>
  assertGolden(path: string): Promise<void>
}
