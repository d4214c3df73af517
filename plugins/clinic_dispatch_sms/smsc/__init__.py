"""SMSC (smsc.kz, smsc.ru, smscentre.com): one interface under several national sites."""
