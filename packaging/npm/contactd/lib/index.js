// For `import`; index.cjs has it all.
export { find, start, Server, Inbox, User, userName } from './index.cjs'
