// Globals of browsers that Node has only since version 22, and 20.
globalThis.WebSocket ??= require('ws');
globalThis.crypto ??= require('node:crypto').webcrypto;
