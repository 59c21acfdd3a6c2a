// For `import`; index.cjs has the code.
export { find, start, Server, Inbox, User, userName } from './index.cjs'
